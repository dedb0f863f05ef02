import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { newId } from '../../domain/ids.ts'
import type { SandboxRecord } from '../../domain/session.ts'
import type { ExecRequest } from '../../host/wire.ts'
import { readToken, runDirectory } from '../host-launch.ts'
import type { ExecOptions, ExecResult, Sandbox } from '../sandbox.ts'
import type { SandboxDriver, SandboxSpec } from '../sandbox-driver.ts'
import { HostError } from '../sandbox-errors.ts'

/** What a driver's own conformance file gives to the suite. */
export interface SandboxFixture {
  /** A new driver object on the same directories each time: the second is what a restarted server has. */
  makeDriver(): SandboxDriver
  runRoot: string
  /** For the volume and the spec: the host uid of sandboxes, or null for the server's own. */
  uid: number | null
  /** Called after all sandboxes are stopped. */
  dispose(): Promise<void>
}

export const ROOTS = ['/session/code', '/session/data']

/** Appears in the command lines of processes that a test looks for. Unique, so that suites can run side by side. */
export const newMarker = (): string => `${300 + randomBytes(2).readUInt16BE()}.${randomBytes(4).readUInt32BE()}`

/** Living processes of the machine with the marker as an argument: what sandboxed processes look like from outside. */
export function processesWith(marker: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name)
    if (!Number.isInteger(pid)) return []
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes(marker) ? [pid] : []
    } catch {
      // It ended while we looked.
      return []
    }
  })
}

/** Waits until the condition holds; what it last gave is in the failure otherwise. */
export async function eventually<T>(look: () => T | Promise<T>, wanted: (value: T) => boolean, ms = 15_000): Promise<T> {
  const deadline = Date.now() + ms
  for (;;) {
    const value = await look()
    if (wanted(value)) return value
    if (Date.now() > deadline) expect.fail(`did not come true: ${JSON.stringify(value)}`)
    await delay(20)
  }
}

export const noneWith = (marker: string): Promise<unknown> =>
  eventually(
    () => processesWith(marker),
    (pids) => pids.length === 0,
  )

/** Expects a refusal with this code. */
export async function refused(work: Promise<unknown>, code: string): Promise<void> {
  const outcome = await work.then(
    () => 'no refusal',
    (error: unknown) => (error instanceof HostError ? error.code : `${error}`),
  )
  expect(outcome).toBe(code)
}

export const specFor = (sessionId: string, generation: number, fixture: SandboxFixture): SandboxSpec => ({
  session_id: sessionId,
  generation,
  purpose: 'session',
  uid: fixture.uid,
  limits: { memory_mb: 512, cpus: 2, pids: 256 },
  network: 'none',
  isolation_floor: 'none',
  epoch: 1,
})

/** One started sandbox and short ways to use it. */
export class Harness {
  readonly fixture: SandboxFixture
  readonly driver: SandboxDriver
  readonly sessionId: string
  readonly record: SandboxRecord
  sandbox: Sandbox

  private constructor(
    fixture: SandboxFixture,
    driver: SandboxDriver,
    sessionId: string,
    record: SandboxRecord,
    sandbox: Sandbox,
  ) {
    this.fixture = fixture
    this.driver = driver
    this.sessionId = sessionId
    this.record = record
    this.sandbox = sandbox
  }

  static async start(fixture: SandboxFixture, secrets: Record<string, string> = {}): Promise<Harness> {
    const driver = fixture.makeDriver()
    const sessionId = newId('ses')
    await driver.volumes.create(sessionId, { uid: fixture.uid, secrets, staging: {} })
    const { record, sandbox } = await driver.start(specFor(sessionId, 1, fixture), async () => undefined)
    await sandbox.configure(secrets)
    return new Harness(fixture, driver, sessionId, record, sandbox)
  }

  async end(): Promise<void> {
    this.sandbox.disconnect()
    await this.driver.stop(this.record, this.sessionId)
    await this.driver.volumes.destroy(this.sessionId)
  }

  /** How to reach host directly. */
  async address(): Promise<{ socketPath: string; token: string }> {
    const dir = runDirectory(this.fixture.runRoot, { sessionId: this.sessionId, generation: this.record.generation })
    const token = await readToken(dir)
    expect(token).not.toBeNull()
    return { socketPath: join(dir, 's'), token: token as string }
  }

  request(argv: string[], more: Partial<ExecRequest> = {}): ExecRequest {
    return {
      id: newId('inv'),
      invocation_id: newId('inv'),
      argv,
      timeout_ms: 30_000,
      max_output_bytes: 64 * 1024 * 1024,
      ...more,
    }
  }

  exec(argv: string[], more: Partial<ExecRequest> = {}, options?: ExecOptions): Promise<ExecResult> {
    return this.sandbox.exec(this.request(argv, more), options)
  }

  /** Runs a bash script in /session/code that must succeed; gives its output. */
  async sh(script: string, ...args: string[]): Promise<string> {
    const result = await this.exec(['bash', '-c', script, 'sh', ...args])
    expect({ script, exit_code: result.exit_code, stderr: result.stderr.toString(), error: result.spawn_error }).toMatchObject({
      exit_code: 0,
    })
    return result.stdout.toString()
  }

  /** `path` relative to /session/code. */
  async write(path: string, text: string): Promise<void> {
    await this.sandbox.write({ ...this.change(path), content_base64: base64(text), create_parents: true })
  }

  async read(path: string): Promise<string> {
    const { content_base64 } = await this.sandbox.read({ ...scope(path), max_bytes: 1_000_000 })
    return Buffer.from(content_base64, 'base64').toString()
  }

  change(path: string): { id: string; invocation_id: string; path: string; roots: string[] } {
    return { id: newId('inv'), invocation_id: newId('inv'), ...scope(path) }
  }

  /** A directory outside the workspace that commands and host see, with one file in it. */
  async outside(text: string): Promise<string> {
    return (await this.sh('d=$(mktemp -d) && printf %s "$1" > "$d/f" && printf %s "$d"', text)).trim()
  }
}

export const scope = (path: string) => ({ path: path.startsWith('/') ? path : `/session/code/${path}`, roots: ROOTS })

export const base64 = (text: string): string => Buffer.from(text).toString('base64')
