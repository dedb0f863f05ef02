import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { CloisterError, errors } from '../../domain/errors.ts'
import type { Isolation, SandboxRecord } from '../../domain/session.ts'
import { CONNECTOR_BRIDGE_ENV, type HostBoot, INVOCATION_ENV } from '../../host/wire.ts'
import type { HostClient } from '../host-client.ts'
import { connectHost, listRuns, type PreparedRun, prepareRun, readToken, removeRun, runDirectory } from '../host-launch.ts'
import type { Sandbox } from '../sandbox.ts'
import type { DriverCheck, SandboxDriver, SandboxSpec, StartedSandbox } from '../sandbox-driver.ts'
import { SandboxLost } from '../sandbox-errors.ts'
import type { VolumeDirectory } from '../volume-directory.ts'
import { bootId, findByEnvironment, startTime } from './machine-processes.ts'

/** In the environment of host and of everything that it starts: by it a sandbox's processes are found, whatever became of host. */
const RUN_ENV = 'CLOISTER_RUN_DIR'
const SESSION_ENV = 'CLOISTER_SESSION_DIR'
const TERM_WAIT_MS = 3_000
const KILL_WAIT_MS = 10_000

const ISOLATION: Isolation = {
  level: 'none',
  namespaces: [],
  network: 'host',
  seccomp: false,
  no_new_privileges: false,
  uid: 'shared',
  limits: { memory: 'absent', cpus: 'absent', pids: 'absent' },
}

export interface ProcessDriverOptions {
  /** Where run directories are kept. */
  runRoot: string
  volumes: VolumeDirectory
  /** Host's bundle, `dist/host.mjs`. */
  hostBundle: string
  /** The bridge's bundle, `dist/connector-bridge.mjs`. Absent: no connector runs in these sandboxes. */
  connectorBridge?: string
  /** Absent: the Node that runs the server. */
  node?: string
  /** PATH of commands. Absent: the usual directories of a system. */
  path?: string
}

/**
 * Host as a plain process of the machine, without any isolation: for development where no other driver works. Files, commands
 * and secrets of a session are open to every process of the same user, and the network is the machine's.
 */
export class ProcessDriver implements SandboxDriver {
  readonly kind = 'process'
  readonly volumes: VolumeDirectory
  readonly #runRoot: string
  readonly #hostBundle: string
  readonly #connectorBridge: string | null
  readonly #node: string
  readonly #path: string

  constructor(options: ProcessDriverOptions) {
    this.volumes = options.volumes
    this.#runRoot = options.runRoot
    this.#hostBundle = options.hostBundle
    this.#connectorBridge = options.connectorBridge ?? null
    this.#node = options.node ?? process.execPath
    this.#path = options.path ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  }

  async check(): Promise<DriverCheck> {
    const linux = process.platform === 'linux'
    const built = await access(this.#hostBundle).then(
      () => true,
      () => false,
    )
    return {
      kind: this.kind,
      usable: linux && built,
      checks: [
        { name: 'linux', ok: linux, required: true, detail: process.platform, fix: linux ? null : 'run it on Linux' },
        {
          name: 'host bundle',
          ok: built,
          required: true,
          detail: this.#hostBundle,
          fix: built ? null : 'node scripts/build-host.ts',
        },
        {
          name: 'isolation',
          ok: false,
          required: false,
          detail: 'none: for development only',
          fix: 'CLOISTER_SANDBOX=bubblewrap',
        },
      ],
      isolation: linux && built ? ISOLATION : null,
    }
  }

  async start(spec: SandboxSpec, onIntent: (record: SandboxRecord) => Promise<void>): Promise<StartedSandbox> {
    if (spec.isolation_floor !== 'none')
      throw errors.sandboxUnavailable(`the session demands isolation "${spec.isolation_floor}", the process driver gives none`)
    const key = { sessionId: spec.session_id, generation: spec.generation }
    const dir = runDirectory(this.#runRoot, key)
    const intent = this.#record(spec, 'starting', { run_dir: dir })
    await onIntent(intent)
    await this.#killAll(dir)
    let run: PreparedRun | null = null
    try {
      run = await prepareRun({ runRoot: this.#runRoot, ...key })
      const child = this.#spawnHost(spec, run)
      await sendBoot(child, this.#boot(spec, run))
      await run.closeListener()
      const sandbox = await connectHost({ ...key, socketPath: run.socketPath, token: run.token, epoch: spec.epoch })
      const pid = child.pid as number
      child.unref()
      const detail = { run_dir: dir, pid, start_time: await startTime(pid), boot_id: await bootId() }
      return { record: this.#record(spec, 'running', detail), sandbox }
    } catch (error) {
      await run?.closeListener()
      await this.#killAll(dir)
      await removeRun(dir)
      if (error instanceof CloisterError) throw error
      throw errors.sandboxUnavailable(error instanceof Error ? error.message : String(error), error)
    }
  }

  async find(record: SandboxRecord, sessionId: string, epoch: number): Promise<Sandbox | null> {
    const key = { sessionId, generation: record.generation }
    const dir = runDirectory(this.#runRoot, key)
    if (record.phase === 'starting') {
      await this.stop(record, sessionId)
      return null
    }
    const token = await readToken(dir)
    if (token === null || !(await isSameProcess(record))) return null
    return connectHost({ ...key, socketPath: join(dir, 's'), token, epoch }).catch((error: unknown): HostClient | null => {
      if (error instanceof SandboxLost) return null
      throw error
    })
  }

  async stop(record: SandboxRecord, sessionId: string): Promise<void> {
    await this.stopLeftover({ session_id: sessionId, generation: record.generation })
  }

  async leftovers(): Promise<{ session_id: string; generation: number }[]> {
    return (await listRuns(this.#runRoot)).map(({ session_id, generation }) => ({ session_id, generation }))
  }

  async stopLeftover(leftover: { session_id: string; generation: number }): Promise<void> {
    const dir = runDirectory(this.#runRoot, { sessionId: leftover.session_id, generation: leftover.generation })
    await this.#killAll(dir)
    await removeRun(dir)
  }

  #record(spec: SandboxSpec, phase: SandboxRecord['phase'], detail: SandboxRecord['detail']): SandboxRecord {
    const isolation = phase === 'running' ? ISOLATION : null
    return { kind: this.kind, generation: spec.generation, phase, detail, isolation, started_at: new Date().toISOString() }
  }

  #boot(spec: SandboxSpec, run: PreparedRun): HostBoot {
    const volume = this.volumes.volume(spec.session_id)
    return {
      token: run.token,
      session_id: spec.session_id,
      generation: spec.generation,
      epoch: spec.epoch,
      prefix: volume,
      base_env: {
        PATH: this.#path,
        HOME: join(volume, 'data'),
        LANG: 'C.UTF-8',
        [SESSION_ENV]: volume,
        [RUN_ENV]: run.dir,
        ...(this.#connectorBridge !== null && { [CONNECTOR_BRIDGE_ENV]: this.#connectorBridge }),
      },
    }
  }

  #spawnHost(spec: SandboxSpec, run: PreparedRun): ChildProcess {
    const log = openSync(join(run.dir, 'host.log'), 'a', 0o600)
    try {
      return spawn(this.#node, [this.#hostBundle], {
        cwd: '/',
        env: { [RUN_ENV]: run.dir },
        detached: true,
        stdio: ['pipe', log, log, run.listenFd],
        ...(spec.uid === null ? {} : { uid: spec.uid, gid: spec.uid }),
      })
    } finally {
      closeSync(log)
    }
  }

  /**
   * SIGTERM to host alone, which knows what it started (also what forgot where it comes from), then SIGKILL to whatever still bears
   * the run's name. Returns when all are gone.
   */
  async #killAll(dir: string): Promise<void> {
    const deadline = Date.now() + KILL_WAIT_MS
    const term = Date.now() + TERM_WAIT_MS
    for (let first = true; ; first = false) {
      const found = await findByEnvironment(RUN_ENV, dir)
      if (found.length === 0) return
      if (Date.now() > deadline)
        throw errors.internal(`processes of a sandbox do not end: ${found.map(({ pid }) => pid).join(', ')}`)
      const hosts = found.filter(({ variables }) => !variables.some((variable) => variable.startsWith(`${INVOCATION_ENV}=`)))
      if (hosts.length === 0 || Date.now() > term) for (const { pid } of found) sendSignal(pid, 'SIGKILL')
      else if (first) for (const { pid } of hosts) sendSignal(pid, 'SIGTERM')
      await delay(20)
    }
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Is the recorded process still the same one? A pid alone may have been given to another. */
async function isSameProcess(record: SandboxRecord): Promise<boolean> {
  const { pid, start_time, boot_id } = record.detail
  return typeof pid === 'number' && boot_id === (await bootId()) && start_time !== null && start_time === (await startTime(pid))
}

/** Resolves when the line is written; rejects when the child could not be started or does not read it. */
function sendBoot(child: ChildProcess, boot: HostBoot): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => reject(new Error(`host ended at its start (${signal ?? code})`)))
    const { stdin } = child
    if (!stdin) return
    stdin.once('error', reject)
    stdin.end(`${JSON.stringify(boot)}\n`, () => resolve())
  })
}
