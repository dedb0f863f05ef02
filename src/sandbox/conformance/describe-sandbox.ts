import { afterAll, beforeAll, describe } from 'vitest'
import { attackCases } from './attack-cases.ts'
import { digestCases } from './digest-cases.ts'
import { execCases } from './exec-cases.ts'
import { fileCases } from './file-cases.ts'
import { Harness, type SandboxFixture } from './harness.ts'
import { lifecycleCases } from './lifecycle-cases.ts'
import { processCases } from './process-cases.ts'
import { wireCases } from './wire-cases.ts'

/** What every driver's sandboxes must do, and must not let be done to them. */
export function describeSandbox(name: string, makeFixture: () => Promise<SandboxFixture>): void {
  withHarness(`sandbox: ${name}`, makeFixture, (harness, fixture) => {
    execCases(harness)
    fileCases(harness)
    digestCases(harness)
    attackCases(harness)
    processCases(harness)
    lifecycleCases(fixture)
  })
}

/** Host itself, which is the same program under every driver: once is enough. */
export function describeHost(name: string, makeFixture: () => Promise<SandboxFixture>): void {
  withHarness(`host: ${name}`, makeFixture, wireCases)
}

function withHarness(
  name: string,
  makeFixture: () => Promise<SandboxFixture>,
  cases: (harness: () => Harness, fixture: () => SandboxFixture) => void,
): void {
  describe(name, () => {
    let fixture: SandboxFixture
    let harness: Harness

    beforeAll(async () => {
      fixture = await makeFixture()
      harness = await Harness.start(fixture, { TOKEN: 'hunter22' })
    })

    afterAll(async () => {
      await harness?.end()
      await fixture?.dispose()
    })

    cases(
      () => harness,
      () => fixture,
    )
  })
}
