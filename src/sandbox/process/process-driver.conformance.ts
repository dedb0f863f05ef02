import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe } from 'vitest'
import { describeHost, describeSandbox } from '../conformance/describe-sandbox.ts'
import type { SandboxFixture } from '../conformance/harness.ts'
import { VolumeDirectory } from '../volume-directory.ts'
import { ProcessDriver } from './process-driver.ts'

const hostBundle = fileURLToPath(new URL('../../../dist/host.mjs', import.meta.url))
const hostSource = fileURLToPath(new URL('../../host/main.ts', import.meta.url))
const UNPRIVILEGED = 64_100

async function makeFixture(
  uid: number | null,
  prepare: (home: string) => Promise<{ node?: string; hostBundle: string }>,
): Promise<SandboxFixture> {
  const home = await mkdtemp(join(tmpdir(), 'cl-'))
  await chmod(home, 0o711)
  const runRoot = join(home, 'run')
  const host = await prepare(home)
  return {
    makeDriver: () => new ProcessDriver({ runRoot, volumes: new VolumeDirectory(join(home, 'volumes')), ...host }),
    runRoot,
    uid,
    dispose: () => rm(home, { recursive: true, force: true }),
  }
}

/** While coverage is counted, host runs from its sources and writes down what ran of them (scripts/coverage/host-coverage.ts). */
const countedIn = process.env['CLOISTER_HOST_COVERAGE']

async function prepareHost(home: string): Promise<{ node?: string; hostBundle: string }> {
  if (countedIn === undefined) return { hostBundle }
  const node = join(home, 'node')
  await writeFile(node, `#!/bin/sh\nNODE_V8_COVERAGE='${countedIn}' exec '${process.execPath}' "$@"\n`, { mode: 0o755 })
  return { node, hostBundle: hostSource }
}

describeSandbox('process', () => makeFixture(null, prepareHost))
describeHost('process', () => makeFixture(null, prepareHost))

// What the other drivers make of host: an unprivileged user on an execute-only Node, hence a process that is not dumpable.
describe.skipIf(process.getuid?.() !== 0)('with a uid of its own (only root can give one)', () => {
  describeSandbox('process, not dumpable', () =>
    makeFixture(UNPRIVILEGED, async (home) => {
      const node = join(home, 'node')
      await copyFile(process.execPath, node)
      await chmod(node, 0o111)
      await copyFile(hostBundle, join(home, 'host.mjs'))
      await chmod(join(home, 'host.mjs'), 0o444)
      return { node, hostBundle: join(home, 'host.mjs') }
    }),
  )
})
