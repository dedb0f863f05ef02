import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually, Harness, newMarker, noneWith, processesWith, type SandboxFixture, specFor } from '../conformance/harness.ts'
import { SandboxLost } from '../sandbox-errors.ts'
import { VolumeDirectory } from '../volume-directory.ts'
import { ProcessDriver } from './process-driver.ts'

const hostBundle = fileURLToPath(new URL('../../../dist/host.mjs', import.meta.url))

describe('ProcessDriver', () => {
  let home: string
  let fixture: SandboxFixture
  let harness: Harness
  const pidOf = (): number => Number(harness.record.detail.pid)

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'cl-'))
    fixture = {
      makeDriver: () =>
        new ProcessDriver({ runRoot: join(home, 'run'), volumes: new VolumeDirectory(join(home, 'volumes')), hostBundle }),
      runRoot: join(home, 'run'),
      uid: null,
      dispose: () => rm(home, { recursive: true, force: true }),
    }
    harness = await Harness.start(fixture, { TOKEN: 'hunter22' })
  })

  afterEach(async () => {
    await harness.end()
    await fixture.dispose()
  })

  it('attests that it isolates nothing, whatever was asked for', () => {
    expect(harness.record.isolation).toMatchObject({
      level: 'none',
      network: 'host',
      seccomp: false,
      limits: { memory: 'absent' },
    })
  })

  it('loses a sandbox whose host was killed, and clears away what it had started', async () => {
    const marker = newMarker()
    const running = harness.exec(['bash', '-c', `setsid sleep ${marker} & sleep ${marker}`]).catch((error: unknown) => error)
    await eventually(
      () => processesWith(marker),
      (pids) => pids.length === 2,
    )
    process.kill(pidOf(), 'SIGKILL')
    expect(await running).toBeInstanceOf(SandboxLost)
    await expect(harness.sandbox.health()).rejects.toBeInstanceOf(SandboxLost)
    expect(await fixture.makeDriver().find(harness.record, harness.sessionId, 2)).toBeNull()
    await harness.driver.stop(harness.record, harness.sessionId)
    await noneWith(marker)
  })

  it('does not take another process with the same pid for host', async () => {
    const { detail } = harness.record
    const driver = fixture.makeDriver()
    for (const wrong of [{ start_time: 1 }, { boot_id: 'another' }, { pid: process.pid }, { pid: null }])
      expect(await driver.find({ ...harness.record, detail: { ...detail, ...wrong } }, harness.sessionId, 2)).toBeNull()
    expect(await driver.find(harness.record, harness.sessionId, 2)).not.toBeNull()
  })

  it('shows no token and no secret on a command line or in an environment of host', async () => {
    const { token } = await harness.address()
    const shown = ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${pidOf()}/${name}`, 'latin1')).join('')
    expect(shown).toContain('host.mjs')
    expect(shown).not.toContain(token)
    expect(shown).not.toContain('hunter22')
    expect(await harness.sh('env')).not.toContain(token)
  })

  it('says why host did not start, and leaves nothing', async () => {
    const broken = new ProcessDriver({
      runRoot: fixture.runRoot,
      volumes: new VolumeDirectory(join(home, 'volumes')),
      hostBundle: '/nowhere.mjs',
    })
    const start = broken.start(specFor(harness.sessionId, 5, fixture), async () => undefined)
    await expect(start).rejects.toMatchObject({ code: 'sandbox_unavailable' })
    expect(await broken.leftovers()).toEqual([{ session_id: harness.sessionId, generation: 1 }])
    expect((await broken.check()).usable).toBe(false)
  })

  it('ends host and its commands by SIGTERM alone', async () => {
    const marker = newMarker()
    await harness.sandbox.startProcess({
      id: 'b',
      invocation_id: 'b',
      argv: ['bash', '-c', `setsid sleep ${marker} & sleep ${marker}`],
    })
    await eventually(
      () => processesWith(marker),
      (pids) => pids.length === 2,
    )
    process.kill(pidOf(), 'SIGTERM')
    await noneWith(marker)
    await eventually(
      () =>
        harness.sandbox.health().then(
          () => 'alive',
          () => 'gone',
        ),
      (state) => state === 'gone',
    )
  })
})
