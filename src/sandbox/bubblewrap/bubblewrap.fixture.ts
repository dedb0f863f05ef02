import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import type { SandboxFixture } from '../conformance/harness.ts'
import { VolumeDirectory } from '../volume-directory.ts'
import { BubblewrapDriver, type BubblewrapDriverOptions } from './bubblewrap-driver.ts'

const BUNDLE = fileURLToPath(new URL('../../../dist/host.mjs', import.meta.url))
/** Nobody's: the ordinary user that the suites become, and the uid of root's sandboxes. */
const ORDINARY_UID = 64_201
const SESSION_UID = 64_202

export const startedAsRoot = process.getuid?.() === 0

export interface BubblewrapFixture extends SandboxFixture {
  home: string
  /** What a driver in another process is made with. */
  parts: { hostBundle: string; nodePath: string }
  makeDriver(options?: Partial<BubblewrapDriverOptions>): BubblewrapDriver
}

/** Where the next fixtures find the bundle and a Node: in the checkout, until this process is somebody who may not go there. */
let parts = { hostBundle: BUNDLE, nodePath: process.execPath, base: tmpdir() }

/**
 * Becomes an ordinary user for good, in this process only: each test file has its own. What the driver needs is copied first,
 * because a checkout may lie where only root gets. A user who started the tests stays what he is.
 */
export function becomeOrdinaryUser(): void {
  if (!startedAsRoot) return
  const base = mkdtempSync(join(tmpdir(), 'cu-'))
  chmodSync(base, 0o755)
  parts = { hostBundle: join(base, 'host.mjs'), nodePath: join(base, 'node'), base: join(base, 'h') }
  copyFileSync(BUNDLE, parts.hostBundle)
  chmodSync(parts.hostBundle, 0o644)
  copyFileSync(process.execPath, parts.nodePath)
  chmodSync(parts.nodePath, 0o755)
  mkdirSync(parts.base)
  for (const path of [base, parts.base]) chownSync(path, ORDINARY_UID, ORDINARY_UID)
  process.setgroups?.([ORDINARY_UID])
  process.setgid?.(ORDINARY_UID)
  process.setuid?.(ORDINARY_UID)
  afterAll(() => rmSync(base, { recursive: true, force: true }))
}

/** A home of its own; 0700 as root's own directories are, so that nothing works only because everybody may pass. */
export async function makeBubblewrapFixture(uid: number = SESSION_UID): Promise<BubblewrapFixture> {
  const home = mkdtempSync(join(parts.base, 'cb-'))
  const { hostBundle, nodePath } = parts
  return {
    home,
    parts: { hostBundle, nodePath },
    makeDriver: (options = {}) =>
      new BubblewrapDriver({ home, volumes: new VolumeDirectory(join(home, 'sessions')), hostBundle, nodePath, ...options }),
    runRoot: join(home, 'run'),
    uid: process.getuid?.() === 0 ? uid : null,
    dispose: () => rm(home, { recursive: true, force: true }),
  }
}
