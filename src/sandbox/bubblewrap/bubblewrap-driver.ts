import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CloisterError, errors } from '../../domain/errors.ts'
import { ISOLATION_LEVELS, type Isolation, type SandboxRecord } from '../../domain/session.ts'
import { CONNECTOR_BRIDGE_ENV, type HostBoot } from '../../host/wire.ts'
import type { HostClient } from '../host-client.ts'
import { connectHost, listRuns, type PreparedRun, prepareRun, readToken, runDirectory } from '../host-launch.ts'
import type { Sandbox } from '../sandbox.ts'
import type { DriverCheck, SandboxDriver, SandboxSpec, StartedSandbox } from '../sandbox-driver.ts'
import { SandboxLost } from '../sandbox-errors.ts'
import type { VolumeDirectory } from '../volume-directory.ts'
import { attest } from './attestation.ts'
import { checkBubblewrap } from './bubblewrap-check.ts'
import { bwrapArguments, CONNECTOR_BRIDGE, DESCRIPTORS, SESSION_HOME, searchPath } from './bwrap-arguments.ts'
import { Cgroups, enter, type SandboxCgroups } from './cgroups.ts'
import { binsOf, refuseBind, shownBy } from './extra-binds.ts'
import { limitByRlimits, sizes } from './limits.ts'
import { installRuntime, nodeToolchain, type Runtime } from './node-runtime.ts'
import { bootId, isAlive, startTime } from './process-identity.ts'
import { type BlockedSandbox, spawnBwrap } from './spawn-bwrap.ts'
import { Stage } from './stage.ts'
import { machineSystem, networkFiles, rootfsSystem, type SystemEntry } from './system-files.ts'
import { initOf, teardown } from './teardown.ts'

/** Making namespaces takes milliseconds; a machine under load may take long. */
const NAMESPACES_WITHIN_MS = 15_000
/** In the run directory: the record's detail, for a server that has lost the record. */
const DETAIL_FILE = 'sandbox.json'
const LOG_FILE = 'host.log'

export interface BubblewrapDriverOptions {
  /** CLOISTER_HOME. `run/` and `runtime/` in it are the driver's. */
  home: string
  volumes: VolumeDirectory
  /** Host's bundle, `dist/host.mjs`. */
  hostBundle: string
  /** The bridge's bundle, `dist/connector-bridge.mjs`. Absent: no connector runs in these sandboxes. */
  connectorBridge?: string
  /** More directories to show, read-only, under their own names (CLOISTER_SANDBOX_BINDS). Empty: none. */
  binds?: string[]
  /** A root file system to use instead of the machine's own programs. Absent or null: the machine's. */
  rootfs?: string | null
  /** More directories of the server's that no bind may show (artifacts, when they are not in `home`). Absent: none. */
  ownDirectories?: string[]
  /** Absent: the Node that runs the server. */
  nodePath?: string
  /** Absent: what this machine has. */
  cgroups?: Cgroups
}

/**
 * Sandboxes out of Linux namespaces, by bubblewrap, as docs/architecture.md ("Sandbox and host") describes them. It works as root,
 * where every session has a host uid of its own, and as an ordinary user, where all share that user's uid.
 */
export class BubblewrapDriver implements SandboxDriver {
  readonly kind = 'bubblewrap'
  readonly volumes: VolumeDirectory
  readonly #options: BubblewrapDriverOptions
  readonly #runRoot: string
  readonly #nodePath: string
  readonly #cgroups: Cgroups
  #runtime: Promise<Runtime> | null = null

  constructor(options: BubblewrapDriverOptions) {
    this.volumes = options.volumes
    this.#options = { ...options, rootfs: options.rootfs ? resolve(options.rootfs) : null }
    this.#runRoot = join(options.home, 'run')
    this.#nodePath = options.nodePath ?? process.execPath
    this.#cgroups = options.cgroups ?? new Cgroups(options.home)
  }

  /** Starts and stops a real sandbox. */
  check(): Promise<DriverCheck> {
    return checkBubblewrap(this, this.#refusal())
  }

  async start(spec: SandboxSpec, onIntent: (record: SandboxRecord) => Promise<void>): Promise<StartedSandbox> {
    if (ISOLATION_LEVELS.indexOf(spec.isolation_floor) > ISOLATION_LEVELS.indexOf('namespaces'))
      throw errors.sandboxUnavailable(`the session demands isolation "${spec.isolation_floor}", bubblewrap gives "namespaces"`)
    const refusal = this.#refusal() ?? refuseUid(spec.uid)
    if (refusal !== null) throw errors.sandboxUnavailable(refusal)
    const key = { sessionId: spec.session_id, generation: spec.generation }
    const detail: SandboxRecord['detail'] = {
      run_dir: runDirectory(this.#runRoot, key),
      cgroups: this.cgroupsOf(spec.session_id, spec.generation).join('\n'),
      boot_id: bootId(),
    }
    const started_at = new Date().toISOString()
    const record = (phase: SandboxRecord['phase'], isolation: Isolation | null): SandboxRecord => ({
      ...{ kind: this.kind, generation: spec.generation, phase, detail: { ...detail }, isolation, started_at },
    })
    await onIntent(record('starting', null))
    let run: PreparedRun | null = null
    let blocked: BlockedSandbox | null = null
    let sandbox: HostClient | null = null
    try {
      const runtime = await this.#install()
      await teardown(detail)
      run = await prepareRun({ runRoot: this.#runRoot, ...key })
      const cgroups = this.#cgroups.create(cgroupName(spec), spec.limits)
      Object.assign(detail, { cgroups: cgroups.paths.join('\n'), cgroup_kill: cgroups.kill })
      saveDetail(run.dir, detail)
      blocked = await this.#spawn(spec, run, runtime)
      Object.assign(detail, {
        ...{ init_pid: blocked.init.pid, init_start: blocked.init.start_time, pid_namespace: blocked.init.pid_namespace },
        ...{ outer_pid: blocked.outerPid, outer_start: startTime(blocked.outerPid) },
      })
      saveDetail(run.dir, detail)
      const limits = await confine(blocked, cgroups, spec)
      await blocked.release(`${JSON.stringify(this.#boot(spec, run))}\n`)
      await run.closeListener()
      sandbox = await connectHost({ ...key, socketPath: run.socketPath, token: run.token, epoch: spec.epoch })
      const uid = spec.uid === null ? 'shared' : 'own'
      const isolation = attest(blocked.init.pid, { network: networkOf(spec), uid, limits })
      blocked.outer.unref()
      return { record: record('running', isolation), sandbox }
    } catch (error) {
      sandbox?.disconnect()
      await run?.closeListener()
      blocked?.abort()
      const log = run === null ? '' : tail(join(run.dir, LOG_FILE))
      await teardown({ ...detail, run_dir: run?.dir ?? null })
      if (error instanceof CloisterError) throw error
      throw errors.sandboxUnavailable(`${error instanceof Error ? error.message : String(error)}${log}`, error)
    }
  }

  async find(record: SandboxRecord, sessionId: string, epoch: number): Promise<Sandbox | null> {
    const key = { sessionId, generation: record.generation }
    const dir = runDirectory(this.#runRoot, key)
    // A record of another session or generation is not the one of what runs here.
    if (record.detail.run_dir !== dir) return null
    const init = initOf(record.detail)
    const token = record.phase === 'running' ? await readToken(dir) : null
    if (token !== null && init !== null && isAlive(init)) {
      try {
        return await connectHost({ ...key, socketPath: join(dir, 's'), token, epoch })
      } catch (error) {
        if (!(error instanceof SandboxLost)) throw error
      }
    }
    await this.stop(record, sessionId)
    return null
  }

  async stop(record: SandboxRecord, sessionId: string): Promise<void> {
    const dir = runDirectory(this.#runRoot, { sessionId, generation: record.generation })
    const recorded = record.detail.run_dir === dir ? record.detail : {}
    await teardown({ ...recorded, ...readDetail(dir), run_dir: dir })
  }

  async leftovers(): Promise<{ session_id: string; generation: number }[]> {
    return (await listRuns(this.#runRoot)).map(({ session_id, generation }) => ({ session_id, generation }))
  }

  async stopLeftover(leftover: { session_id: string; generation: number }): Promise<void> {
    const dir = runDirectory(this.#runRoot, { sessionId: leftover.session_id, generation: leftover.generation })
    await teardown({ ...readDetail(dir), run_dir: dir })
  }

  /** The cgroups of one start, whether they are there or not. Empty: this machine, or this user, has none. */
  cgroupsOf(sessionId: string, generation: number): string[] {
    return this.#cgroups.pathsOf(`${sessionId}.${generation}`)
  }

  /** Installed once for each driver; a failure is tried again by the next start. */
  #install(): Promise<Runtime> {
    const { home, hostBundle, connectorBridge = null } = this.#options
    this.#runtime ??= installRuntime(home, this.#nodePath, hostBundle, connectorBridge).catch((error: unknown) => {
      this.#runtime = null
      throw error
    })
    return this.#runtime
  }

  /** What in the options forbids any start. */
  #refusal(): string | null {
    const { home, volumes, binds = [], rootfs, ownDirectories = [] } = this.#options
    const own = [home, volumes.root, ...ownDirectories]
    for (const path of binds) {
      const reason = refuseBind(path, own)
      if (reason !== null) return `CLOISTER_SANDBOX_BINDS: ${reason}`
    }
    if (rootfs && !existsSync(join(rootfs, 'usr'))) return `CLOISTER_SANDBOX_ROOTFS: ${rootfs} holds no usr`
    const shown = shownBy(rootfs ?? '/usr', own)
    if (shown !== null) return `${shown} overlaps ${rootfs ?? '/usr'}, which sandboxes see: move it`
    return null
  }

  async #spawn(spec: SandboxSpec, run: PreparedRun, runtime: Runtime): Promise<BlockedSandbox> {
    const stage = new Stage(spec.uid !== null)
    const args = bwrapArguments(this.#plan(spec, stage, runtime))
    const command = stage.command(args, spec.uid, DESCRIPTORS.seccomp)
    const logFd = openSync(join(run.dir, LOG_FILE), 'a', 0o600)
    try {
      const seccompPath = runtime.seccomp
      return await spawnBwrap({ ...command, listenFd: run.listenFd, logFd, seccompPath, timeoutMs: NAMESPACES_WITHIN_MS })
    } finally {
      closeSync(logFd)
    }
  }

  #plan(spec: SandboxSpec, stage: Stage, runtime: Runtime): Parameters<typeof bwrapArguments>[0] {
    const { rootfs, binds = [] } = this.#options
    const network = networkOf(spec)
    const toolchain = nodeToolchain(this.#nodePath)
    const staged = (entry: SystemEntry): SystemEntry =>
      entry.kind === 'symlink' ? entry : { ...entry, source: stage.place(entry.source) }
    const system = rootfs
      ? rootfsSystem(rootfs).map((e) => (e.kind === 'bind' ? { ...e, source: stage.placeUnder(rootfs, e.source) } : e))
      : machineSystem()
    const { tmpBytes, shmBytes, heapMb } = sizes(spec.limits)
    return {
      network,
      system: [...system, ...(network === 'host' ? networkFiles() : []).map(staged), ...toolchain.entries.map(staged)],
      etc: Object.fromEntries(Object.entries(runtime.etc[network]).map(([name, path]) => [name, stage.place(path)])),
      volume: stage.place(this.volumes.volume(spec.session_id)),
      secrets: spec.purpose === 'clone' ? null : stage.place(this.volumes.secrets(spec.session_id)),
      node: stage.place(runtime.node),
      bundle: stage.place(runtime.bundle),
      connectorBridge: runtime.connectorBridge === null || spec.purpose === 'clone' ? null : stage.place(runtime.connectorBridge),
      binds: spec.purpose === 'clone' ? [] : binds.map((path) => ({ source: stage.place(path), destination: path })),
      nodeOptions: [`--max-old-space-size=${heapMb}`],
      tmpBytes,
      shmBytes,
      path: this.#path(),
    }
  }

  #path(): string {
    const { rootfs, binds = [] } = this.#options
    const go = `${rootfs ?? ''}/usr/local/go/bin`
    return searchPath([...nodeToolchain(this.#nodePath).path, ...binsOf(binds), ...(existsSync(go) ? ['/usr/local/go/bin'] : [])])
  }

  #boot(spec: SandboxSpec, run: PreparedRun): HostBoot {
    return {
      token: run.token,
      session_id: spec.session_id,
      generation: spec.generation,
      epoch: spec.epoch,
      base_env: {
        PATH: this.#path(),
        HOME: SESSION_HOME,
        LANG: 'C.UTF-8',
        USER: 'sandbox',
        LOGNAME: 'sandbox',
        SHELL: '/bin/bash',
        ...(this.#options.connectorBridge !== undefined && { [CONNECTOR_BRIDGE_ENV]: CONNECTOR_BRIDGE }),
      },
    }
  }
}

/** Before the release: what is not inside a limit by then never starts. */
async function confine(blocked: BlockedSandbox, cgroups: SandboxCgroups, spec: SandboxSpec): Promise<Isolation['limits']> {
  for (const pid of [blocked.outerPid, blocked.init.pid]) enter(cgroups.paths, pid)
  return limitByRlimits(blocked.init.pid, spec.limits, cgroups.enforced)
}

function networkOf(spec: SandboxSpec): 'none' | 'host' {
  return spec.purpose === 'clone' ? 'host' : spec.network
}

function cgroupName(spec: SandboxSpec): string {
  return `${spec.session_id}.${spec.generation}`
}

/** A root server never runs a sandbox as root; another user's server cannot run it as anybody else. */
function refuseUid(uid: number | null): string | null {
  const root = process.getuid?.() === 0
  if (root && (uid === null || uid === 0)) return 'a server that runs as root needs an unprivileged uid for the session'
  if (!root && uid !== null) return 'only a server that runs as root can give a session a uid of its own'
  return null
}

function saveDetail(dir: string, detail: SandboxRecord['detail']): void {
  writeFileSync(join(dir, DETAIL_FILE), JSON.stringify(detail), { mode: 0o600 })
}

function readDetail(dir: string): SandboxRecord['detail'] {
  const path = join(dir, DETAIL_FILE)
  if (!existsSync(path)) return {}
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as SandboxRecord['detail']
  } catch (error) {
    // Cut by a crash while it was written.
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

/** What bwrap or host said last. */
function tail(path: string): string {
  const text = existsSync(path) ? readFileSync(path, 'utf8').trim().slice(-2000) : ''
  return text === '' ? '' : `: ${text}`
}
