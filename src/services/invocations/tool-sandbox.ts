import { Readable } from 'node:stream'
import type { CommandOptions, CommandResult, ToolSandbox } from '../../catalog/define-tool.ts'
import { errors, ToolError } from '../../domain/errors.ts'
import { resolvePath, WORKSPACE } from '../../domain/path.ts'
import { type Redactor, redactBytes } from '../../domain/redaction.ts'
import type { ExecRequest, FileScope, HostErrorCode } from '../../host/wire.ts'
import type { ExecResult, Sandbox } from '../../sandbox/sandbox.ts'
import { HostError, SandboxLost } from '../../sandbox/sandbox-errors.ts'

export type OperationKind = 'exec' | 'write' | 'mkdir' | 'move' | 'copy' | 'remove' | 'keep' | 'restore' | 'process'

export interface ToolSandboxOptions {
  sandbox: Sandbox
  invocationId: string
  /** Absolute directories that the session's allowed paths stand for: `allowedRoots(session.allowed_paths)`. */
  roots: string[]
  /** Aborted: the invocation is cancelled. A `ToolError` as its reason is thrown as it is. */
  signal: AbortSignal
  /** Milliseconds since the epoch after which nothing is started, and what runs is killed. */
  deadline: number
  /** Of all commands of the invocation together, stdout and stderr. */
  maxOutputBytes: number
  /** Of the session's secrets. */
  redactor: Pick<Redactor, 'bytes'>
  /** What commands print, as it comes (not of those that are `quiet`). */
  onOutput: (channel: 'stdout' | 'stderr', chunk: Buffer) => void
  /** A command's output was cut off at its limit: what `onOutput` got may end within a value. */
  onOutputCut: () => void
  /** The tool changes something: run again after a crash it must see what it saw before. */
  remembersAnswers: boolean
  /** Before each operation that has an effect, with its id. */
  onOperation?: (id: string, kind: OperationKind) => void
  /** Milliseconds since the epoch. */
  now?: () => number
}

/** Of a command that was cut off, this many bytes of each stream are kept on the error: its end says most. */
const KEPT_ON_ERROR = 64 * 1024

/** Larger input is streamed: it does not fit into the JSON of the request. */
const INLINE_STDIN = 32 * 1024

/**
 * A tool's way into a running sandbox. Operations with an effect are named `<invocation id>/1`, `/2`, ... in the order of the
 * calls: host runs a name at most once, so the same handler run again attaches to what it already did.
 */
export function makeToolSandbox(options: ToolSandboxOptions): ToolSandbox {
  return new GuardedSandbox(options)
}

class GuardedSandbox implements ToolSandbox {
  readonly #options: ToolSandboxOptions
  readonly #now: () => number
  #operations = 0
  #questions = 0
  #outputBytes = 0

  constructor(options: ToolSandboxOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  async run(argv: string[], options: CommandOptions = {}): Promise<CommandResult> {
    const left = this.#timeLeft()
    const allowance = this.#options.maxOutputBytes - this.#outputBytes
    if (allowance <= 0) throw this.#tooLarge(argv)
    const cap = Math.min(allowance, options.stop_after_bytes ?? allowance)
    const request: ExecRequest = {
      id: this.#operation('exec'),
      invocation_id: this.#options.invocationId,
      argv,
      cwd: options.cwd === undefined ? WORKSPACE : this.#absolute(options.cwd),
      timeout_ms: Math.max(1, Math.min(left, (options.timeout_seconds ?? Number.POSITIVE_INFINITY) * 1000)),
      max_output_bytes: cap,
      ...(options.env && { env: options.env }),
      ...(options.without_secrets && { without_secrets: true }),
    }
    const stdin = options.stdin === undefined ? null : Buffer.from(options.stdin)
    if (stdin && stdin.length <= INLINE_STDIN) request.stdin_base64 = stdin.toString('base64')
    const result = await this.#reach(() =>
      this.#options.sandbox.exec(request, {
        signal: this.#options.signal,
        ...(stdin && stdin.length > INLINE_STDIN && { stdin: Readable.from([stdin]) }),
        ...(!options.quiet && { onOutput: this.#options.onOutput }),
      }),
    )
    this.#outputBytes += result.output_bytes
    if (result.output_limited && !options.quiet) this.#options.onOutputCut()
    return this.#settle(argv, options, result, cap < allowance)
  }

  #settle(argv: string[], options: CommandOptions, result: ExecResult, mayStop: boolean): CommandResult {
    const program = argv[0] ?? ''
    const shown = (bytes: Buffer) => redactBytes(this.#options.redactor, bytes, result.output_limited)
    const stdout = text(options.quiet ? result.stdout : shown(result.stdout), result.dropped_bytes)
    const stderr = shown(result.stderr).toString()
    const output = () => ({
      command: argv,
      stdout: tail(options.quiet ? text(shown(result.stdout), result.dropped_bytes) : stdout),
      stderr: tail(stderr),
    })
    if (result.spawn_error !== null)
      throw new ToolError('execution_failed', `${program} could not be started in the sandbox: ${result.spawn_error}`, {
        output: output(),
        exitCode: 127,
        sandboxFault: true,
      })
    if (result.cancelled) throw this.#cancelled()
    if (result.timed_out) {
      const seconds = Math.round(options.timeout_seconds ?? result.duration_ms / 1000)
      throw new ToolError('timeout', `${program} did not end within ${seconds} s and was killed`, {
        output: output(),
        exitCode: 124,
      })
    }
    const stopped = result.output_limited && mayStop
    if (result.output_limited && !stopped) throw this.#tooLarge(argv, output())
    if (result.exit_code === null && !stopped)
      throw new ToolError(
        'execution_failed',
        `${program} was killed by ${result.signal ?? 'an unknown signal'}${result.signal === 'SIGKILL' ? ' (was it out of memory?)' : ''}`,
        { output: output(), sandboxFault: true },
      )
    return { exit_code: result.exit_code ?? -1, stdout, stderr, duration_ms: result.duration_ms, stopped }
  }

  async list(path: string, options: { recursive: boolean; max_entries: number; skip_git: boolean }) {
    const scope = this.#scope(path)
    return await this.#reach(() => this.#options.sandbox.list({ ...scope, ...this.#question(), ...options }))
  }

  async stat(path: string) {
    const scope = this.#scope(path)
    return await this.#reach(() => this.#options.sandbox.stat({ ...scope, ...this.#question() }))
  }

  async read(path: string, options: { max_bytes: number; offset?: number }) {
    const scope = this.#scope(path)
    const { content_base64, size_bytes, sha256 } = await this.#reach(() =>
      this.#options.sandbox.read({ ...scope, ...this.#question(), ...options }),
    )
    return { content: Buffer.from(content_base64, 'base64'), size_bytes, sha256 }
  }

  async digest(path: string) {
    const scope = this.#scope(path)
    return (await this.#reach(() => this.#options.sandbox.digest({ ...scope, ...this.#question() }))).sha256
  }

  async write(path: string, content: string | Uint8Array, options: Parameters<ToolSandbox['write']>[2] = {}) {
    const scope = this.#scope(path)
    const { create_parents, ...rest } = options
    const { bytes_written, sha256, created } = await this.#reach(() =>
      this.#options.sandbox.write({
        ...scope,
        ...this.#named('write'),
        ...rest,
        content_base64: Buffer.from(content).toString('base64'),
        create_parents: create_parents ?? false,
      }),
    )
    return { bytes_written, sha256, created }
  }

  async mkdir(path: string, options: { create_parents: boolean; mode: string }) {
    const scope = this.#scope(path)
    return await this.#reach(() => this.#options.sandbox.mkdir({ ...scope, ...this.#named('mkdir'), ...options }))
  }

  async move(source: string, destination: string, options: { overwrite: boolean; create_parents: boolean }) {
    const scopes = { source: this.#scope(source), destination: this.#scope(destination) }
    return await this.#reach(() => this.#options.sandbox.move({ ...scopes, ...this.#named('move'), ...options }))
  }

  async copy(source: string, destination: string, options: { overwrite: boolean; create_parents: boolean; recursive: boolean }) {
    const scopes = { source: this.#scope(source), destination: this.#scope(destination) }
    return await this.#reach(() => this.#options.sandbox.copy({ ...scopes, ...this.#named('copy'), ...options }))
  }

  async remove(path: string, options: { recursive: boolean }) {
    const scope = this.#scope(path)
    return await this.#reach(() => this.#options.sandbox.remove({ ...scope, ...this.#named('remove'), ...options }))
  }

  async keepPrevious(path: string) {
    const scope = this.#scope(path)
    return await this.#reach(() => this.#options.sandbox.keepPrevious({ ...scope, ...this.#named('keep') }))
  }

  async restorePrevious(path: string) {
    const scope = this.#scope(path)
    return await this.#reach(() => this.#options.sandbox.restorePrevious({ ...scope, ...this.#named('restore') }))
  }

  async startProcess(argv: string[], options: NonNullable<Parameters<ToolSandbox['startProcess']>[1]> = {}) {
    const { env, secrets } = options
    const cwd = options.cwd === undefined ? WORKSPACE : this.#absolute(options.cwd)
    this.#timeLeft()
    return await this.#reach(() =>
      this.#options.sandbox.startProcess({
        ...this.#named('process'),
        argv,
        cwd,
        ...(env && { env }),
        ...(secrets && { secrets }),
      }),
    )
  }

  async listProcesses() {
    this.#timeLeft()
    return await this.#reach(() => this.#options.sandbox.listProcesses())
  }

  async processOutput(processId: string, after: number) {
    this.#timeLeft()
    return await this.#reach(() => this.#options.sandbox.processOutput(processId, after, { whole_lines: true }))
  }

  async stopProcess(processId: string, signal: NodeJS.Signals) {
    this.#timeLeft()
    return await this.#reach(() => this.#options.sandbox.stopProcess(processId, signal))
  }

  #operation(kind: OperationKind): string {
    this.#operations++
    const id = `${this.#options.invocationId}/${this.#operations}`
    this.#options.onOperation?.(id, kind)
    return id
  }

  #named(kind: OperationKind) {
    return { id: this.#operation(kind), invocation_id: this.#options.invocationId }
  }

  /** Numbered apart from operations: it has no effect, and need not be remembered. */
  #question(): { id?: string; invocation_id?: string } {
    if (!this.#options.remembersAnswers) return {}
    this.#questions++
    return { id: `${this.#options.invocationId}/?${this.#questions}`, invocation_id: this.#options.invocationId }
  }

  #absolute(path: string): string {
    const verdict = resolvePath(path)
    if (!verdict.ok) throw errors.policyDenied('path_scope', verdict.reason)
    return verdict.path
  }

  #scope(path: string): FileScope {
    const scope = { path: this.#absolute(path), roots: this.#options.roots }
    this.#timeLeft()
    return scope
  }

  /** Milliseconds. Throws when there is none, and after cancellation. */
  #timeLeft(): number {
    if (this.#options.signal.aborted) throw this.#cancelled()
    const left = this.#options.deadline - this.#now()
    if (left <= 0) throw new ToolError('timeout', 'the deadline of the tool has passed', { exitCode: 124 })
    return left
  }

  /** Waits for host, but no longer than until the invocation is cancelled, and speaks of errors as tools do. */
  async #reach<T>(call: () => Promise<T>): Promise<T> {
    const { signal } = this.#options
    let giveUp = () => {}
    const aborted = new Promise<never>((_, reject) => {
      giveUp = () => reject(this.#cancelled())
      signal.addEventListener('abort', giveUp, { once: true })
    })
    try {
      return await Promise.race([call(), aborted])
    } catch (error) {
      if (signal.aborted) throw this.#cancelled()
      if (error instanceof SandboxLost) throw new ToolError('sandbox_lost', error.message, { cause: error })
      if (error instanceof HostError) throw fromHost(error)
      throw error
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  #cancelled(): ToolError {
    const reason: unknown = this.#options.signal.reason
    return reason instanceof ToolError ? reason : new ToolError('cancelled', 'the invocation was cancelled')
  }

  #tooLarge(argv: string[], output?: Record<string, unknown>): ToolError {
    const message = `${argv[0] ?? ''} wrote more than ${this.#options.maxOutputBytes} bytes, the most that one invocation may; it was killed`
    return new ToolError('output_too_large', message, output ? { output } : {})
  }
}

const TOOL_CODE = {
  not_found: 'not_found',
  invalid_argument: 'invalid_argument',
  is_directory: 'invalid_argument',
  not_a_directory: 'invalid_argument',
  too_large: 'invalid_argument',
  exists: 'execution_failed',
  changed: 'execution_failed',
  internal: 'execution_failed',
  // Another server has taken this sandbox over, or it is not ours: for this invocation it is gone.
  unauthorized: 'sandbox_lost',
  stale_epoch: 'sandbox_lost',
} as const satisfies Record<Exclude<HostErrorCode, 'path_denied'>, ToolError['code']>

function fromHost(error: HostError): Error {
  if (error.code === 'path_denied') return errors.policyDenied('path_scope', error.message)
  return new ToolError(TOOL_CODE[error.code], error.message, { cause: error, sandboxFault: error.code === 'internal' })
}

function text(bytes: Buffer, dropped: number): string {
  return dropped > 0 ? `${bytes.toString()}\n[${dropped} bytes in between were not kept]\n` : bytes.toString()
}

/** Of what is redacted. */
function tail(stream: string): string {
  return stream.length <= KEPT_ON_ERROR ? stream : stream.slice(-KEPT_ON_ERROR)
}
