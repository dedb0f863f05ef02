import type { Isolation, Limits, SandboxRecord } from '../domain/session.ts'
import type { Sandbox } from './sandbox.ts'

/** One thing that a driver needs or would like, as `cloister doctor` shows it. */
export interface Check {
  name: string
  ok: boolean
  /** Without it the driver cannot start anything; else it only weakens what is attested. */
  required: boolean
  detail: string
  /** The command or setting that mends it. */
  fix: string | null
}

export interface DriverCheck {
  kind: string
  usable: boolean
  checks: Check[]
  /** What a sandbox started now would attest; null when unusable. */
  isolation: Isolation | null
}

/**
 * What to start. Absent `binds`: none beyond the driver's own.
 * `clone`: a sandbox that sees only the volume's code and the network, without secrets.
 */
export interface SandboxSpec {
  session_id: string
  generation: number
  purpose: 'session' | 'clone'
  /** From `volumes`: the session's directory on the server's machine. */
  uid: number | null
  limits: Limits
  network: 'none' | 'host'
  /** Start is refused (`sandbox_unavailable`) when the isolation would be below it. */
  isolation_floor: Isolation['level']
  /** Lease epoch of the starting server. */
  epoch: number
}

export interface StartedSandbox {
  record: SandboxRecord
  sandbox: Sandbox
}

/**
 * A session's files on the server's machine. Layout: `<root>/<session_id>/volume/{code,data}` (bound at `/session`),
 * `secrets/` (bound read-only at `/session/secrets`), `staging/` (the server's own: what is still to be written into the
 * volume by host). The server never opens a path under `volume/`.
 */
export interface VolumeStore {
  /** Makes an empty volume, its secrets and its staging files. Throws `conflict` if the directory exists. */
  create(
    sessionId: string,
    contents: { uid: number | null; secrets: Record<string, string>; staging: Record<string, string> },
  ): Promise<void>
  /** Secret values by name. Read from the server's side of the bind; sandboxes see it read-only. */
  readSecrets(sessionId: string): Promise<Record<string, string>>
  readStaging(sessionId: string): Promise<Record<string, string>>
  clearStaging(sessionId: string): Promise<void>
  /** Destroys everything of a session. Idempotent. */
  destroy(sessionId: string): Promise<void>
  list(): Promise<string[]>
}

/**
 * Makes sandboxes. All methods are idempotent where their name allows it, and none leaves a process behind when it throws.
 */
export interface SandboxDriver {
  readonly kind: string
  readonly volumes: VolumeStore
  check(): Promise<DriverCheck>
  /**
   * Starts host in a new sandbox and waits until it answers. `onIntent` is awaited with a record in phase `starting` before
   * anything is spawned. Throws `sandbox_unavailable` with the reason.
   */
  start(spec: SandboxSpec, onIntent: (record: SandboxRecord) => Promise<void>): Promise<StartedSandbox>
  /**
   * Finds a sandbox by its record after the server was restarted (phase `running`), takes the higher epoch, and answers null if
   * it is gone or is not the one of the record. What remains of a `starting` one is cleaned up, and null answered.
   */
  find(record: SandboxRecord, sessionId: string, epoch: number): Promise<Sandbox | null>
  /** Kills every process of the sandbox and removes its run directory and cgroups. Resolves when they are gone. */
  stop(record: SandboxRecord, sessionId: string): Promise<void>
  /** Sandboxes of this server's home that are running, by their run directories: for sweeping what no record names. */
  leftovers(): Promise<{ session_id: string; generation: number }[]>
  stopLeftover(leftover: { session_id: string; generation: number }): Promise<void>
}
