/**
 * What the server and host say to each other: HTTP over a unix socket, JSON unless said otherwise. Types only, so that host
 * imports nothing else of ours. The server parses host's answers with the schemas in `sandbox/host-client.ts`, because it
 * trusts nothing that comes out of a sandbox.
 *
 * Every request carries `authorization: Bearer <token>` and `x-cloister-epoch: <n>`. Host refuses a wrong token (401) and an
 * epoch below the highest it has seen (409 `stale_epoch`): a server that lost its lease cannot act.
 *
 * Errors: `{error: {code, message}}` with a `HostErrorCode`.
 *
 *   GET    /health                      -> HostHealth
 *   POST   /configure                   {env} -> {}            environment (secrets) of everything that host starts
 *   POST   /exec                        ExecRequest -> NDJSON of ExecFrame. With content-type application/octet-stream the
 *                                       request is base64 JSON in `x-cloister-exec` and the body is the command's stdin
 *   POST   /cancel                      {invocation_id, id?, signal?} -> {killed}   kills groups, and strays by their environment.
 *                                       With an id only that operation; one that was not seen yet never starts
 *   GET    /outcomes?invocation_id=     -> {outcomes: OperationOutcome[]}
 *   DELETE /outcomes?invocation_id=     -> {}                  acknowledged: host may forget
 *   POST   /files/list|stat|read|digest|write|mkdir|move|copy|remove|keep|restore  FileRequest kinds below
 *   GET    /files/content?path=&roots=JSON    raw bytes, streamed (x-cloister-size)
 *   PUT    /files/content?id=&invocation_id=&path=&roots=JSON&create_parents=  raw bytes, streamed to a temporary file and renamed
 *                                       -> WriteResult. invocation_id absent: the id
 *   POST   /processes                   ProcessStart -> ProcessInfo
 *   GET    /processes                   -> {processes: ProcessInfo[]}
 *   GET    /processes/output?process_id=&after=&whole_lines=  -> ProcessOutput
 *   POST   /processes/stop              {process_id, signal} -> {stopped}
 */

/** Environment variable by which everything that an invocation starts can be found, also after `setsid`. */
export const INVOCATION_ENV = 'CLOISTER_INVOCATION'

/** Environment variable that names the program which keeps a connector's server running in the sandbox. Absent: there is none. */
export const CONNECTOR_BRIDGE_ENV = 'CLOISTER_CONNECTOR_BRIDGE'

export type HostErrorCode =
  | 'unauthorized'
  | 'stale_epoch'
  | 'invalid_argument'
  | 'not_found'
  /** The path leaves the roots, lies in a `.git`, or met a symlink that does. Nothing was touched. */
  | 'path_denied'
  | 'is_directory'
  | 'not_a_directory'
  | 'exists'
  /** `expect_sha256` did not match: the file changed since it was looked at. */
  | 'changed'
  | 'too_large'
  | 'internal'

export interface HostErrorBody {
  error: { code: HostErrorCode; message: string }
}

/** First bytes on host's stdin at start, one JSON line: never on a command line. */
export interface HostBoot {
  token: string
  session_id: string
  generation: number
  epoch: number
  /** Environment of everything that host starts, before secrets: PATH, HOME, LANG, ... */
  base_env: Record<string, string>
  /** Only without a mount namespace (the process driver): the real directory that stands for `/session`. */
  prefix?: string
}

export interface HostHealth {
  session_id: string
  generation: number
  epoch: number
  uptime_ms: number
  open_operations: number
}

/**
 * One command. `id` names the operation: host runs an id at most once. Sent again while it runs, the caller is attached and gets
 * what was kept so far, then the rest; sent again after its end, the caller gets the kept outcome (`replayed: true`).
 * A caller that goes away does not stop the command; its deadline and /cancel do.
 */
export interface ExecRequest {
  id: string
  invocation_id: string
  argv: string[]
  /** Absolute, default /session/code. */
  cwd?: string
  env?: Record<string, string>
  /** Leave the session's secrets out of the environment. */
  without_secrets?: boolean
  stdin_base64?: string
  /** After it the whole process group is killed. */
  timeout_ms: number
  /** stdout and stderr together; more kills the command (`output_limited`). */
  max_output_bytes: number
  /** Never starts anything: attaches to the operation of this id, or answers `not_found`. */
  attach_only?: boolean
}

export type ExecFrame =
  | { t: 'started'; pid: number }
  /** `c`: 1 stdout, 2 stderr. `d`: base64. */
  | { t: 'out'; c: 1 | 2; d: string }
  /** Sent on a replay when the middle of a long output was not kept. */
  | { t: 'gap'; dropped_bytes: number }
  | { t: 'exit'; outcome: ExecOutcome }

export interface ExecOutcome {
  /** Null when killed by a signal or never started. */
  exit_code: number | null
  signal: string | null
  timed_out: boolean
  cancelled: boolean
  output_limited: boolean
  /** The program could not be started (ENOENT, EACCES): its message. */
  spawn_error: string | null
  duration_ms: number
  output_bytes: number
  replayed: boolean
}

export interface OperationOutcome {
  id: string
  invocation_id: string
  kind: 'exec' | 'file'
  state: 'running' | 'done'
}

/**
 * Where a file request may go. `roots`: absolute directories; the opened file must lie under one of them by
 * `/proc/self/fd/N`. `/session/secrets` is never reachable. Writes never go under a `.git`; reads may.
 */
export interface FileScope {
  path: string
  roots: string[]
}

export type EntryType = 'file' | 'dir' | 'symlink' | 'other'

export interface FileEntry {
  /** Absolute. */
  path: string
  type: EntryType
  size_bytes: number
  /** Octal permission bits, "0644". */
  mode: string
  /** RFC 3339 UTC. */
  modified_at: string
}

/**
 * A question that a tool asks before it changes something. Asked again by the same id it gets the same answer, while that is
 * remembered: until the invocation is acknowledged, and only a bounded amount. Without an id it is answered afresh.
 */
export interface FileQuestion extends FileScope {
  id?: string
  invocation_id?: string
}

export interface ListRequest extends FileQuestion {
  recursive: boolean
  max_entries: number
  /** Leave out `.git` directories (unless `path` itself lies in one). */
  skip_git: boolean
}
export interface ListResult {
  /** Sorted by path, bytewise. Symlinks are listed, never followed. */
  entries: FileEntry[]
  truncated: boolean
}

export type StatRequest = FileQuestion
/** `entry` null: nothing there. A symlink is described itself. */
export interface StatResult {
  entry: FileEntry | null
}

export interface ReadRequest extends FileQuestion {
  /** At most this many bytes are returned, from `offset`. */
  max_bytes: number
  offset?: number
}
export interface ReadResult {
  content_base64: string
  size_bytes: number
  /** Over the whole file when it was read whole, else null. */
  sha256: string | null
}

export type DigestRequest = FileQuestion
/** Of a file with its content, of a directory with all that is in it but `.git`, of a link with what it leads to. Null: nothing there. */
export interface DigestResult {
  sha256: string | null
}

export interface WriteRequest extends FileScope {
  id: string
  invocation_id: string
  content_base64: string
  create_parents: boolean
  /** Refuse (`changed`) unless the file now has this digest; null: unless there is no file. Absent: no check. */
  expect_sha256?: string | null
  /** Octal; absent: the old file's mode, else 0644. */
  mode?: string
  /** Keep the previous content for one undo. */
  keep_previous?: boolean
}
export interface WriteResult {
  bytes_written: number
  sha256: string
  created: boolean
  replayed: boolean
}

export interface MkdirRequest extends FileScope {
  id: string
  invocation_id: string
  create_parents: boolean
  mode: string
}
export interface MkdirResult {
  created: boolean
}

export interface MoveRequest {
  id: string
  invocation_id: string
  source: FileScope
  destination: FileScope
  overwrite: boolean
  create_parents: boolean
}
export type CopyRequest = MoveRequest & { recursive: boolean }
export interface MoveResult {
  type: EntryType
}

export interface RemoveRequest extends FileScope {
  id: string
  invocation_id: string
  recursive: boolean
}
export interface RemoveResult {
  existed: boolean
}

/** Of `keep`, which remembers a file's content for one undo as `keep_previous` does, and of `restore`, which puts it back. */
export interface PreviousRequest extends FileScope {
  id: string
  invocation_id: string
}
/** False: there is no file, so that nothing is there to come back. */
export interface KeepResult {
  kept: boolean
}
/** Restoring what was never kept, or was restored already, is `not_found`. */
export interface RestoreResult {
  sha256: string
}

export interface ProcessStart {
  id: string
  invocation_id: string
  argv: string[]
  cwd?: string
  env?: Record<string, string>
  /** Names of the secrets that it gets. Absent: all of them. */
  secrets?: string[]
}
export interface ProcessInfo {
  process_id: string
  command: string
  state: 'running' | 'exited'
  exit_code: number | null
  started_at: string
}
export interface ProcessOutput {
  text: string
  /** Pass as `after` to read on. */
  next: number
  /** Bytes that were dropped before `text` because only a bounded tail is kept. */
  dropped_bytes: number
  state: 'running' | 'exited'
}
