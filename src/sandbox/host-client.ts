import type { IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { z } from 'zod'
import type {
  CopyRequest,
  DigestRequest,
  DigestResult,
  ExecRequest,
  FileEntry,
  FileScope,
  HostHealth,
  KeepResult,
  ListRequest,
  ListResult,
  MkdirRequest,
  MkdirResult,
  MoveRequest,
  MoveResult,
  OperationOutcome,
  PreviousRequest,
  ProcessInfo,
  ProcessOutput,
  ProcessStart,
  ReadRequest,
  ReadResult,
  RemoveRequest,
  RemoveResult,
  RestoreResult,
  WriteRequest,
  WriteResult,
} from '../host/wire.ts'
import { ExecCollector, StreamCut } from './exec-stream.ts'
import { type HostAddress, HostConnection, lost } from './host-connection.ts'
import type { ExecOptions, ExecResult, Sandbox } from './sandbox.ts'
import { HostError, SandboxLost } from './sandbox-errors.ts'
import * as schemas from './wire-schemas.ts'

/** Host answers from memory in a millisecond; a machine under load may take long. */
const QUICK_MS = 15_000
/** Large trees are listed, copied and removed within one request. */
const FILE_MS = 120_000
/** Host ends a command by itself at its deadline; this much later it is taken for dead. */
const EXEC_MARGIN_MS = 15_000
/** When a connection is cut while host lives: waits before attaching again. */
const REATTACH_MS = [20, 100, 300, 1000, 2000]

/** A sandbox over host's socket. One instance per server and sandbox; connections are kept open. */
export class HostClient implements Sandbox {
  readonly #connection: HostConnection
  readonly #execMarginMs: number

  /** @param options.execMarginMs how long after its deadline a command that host did not end makes host lost; default 15 s */
  constructor(address: HostAddress, options: { execMarginMs?: number } = {}) {
    this.#connection = new HostConnection(address)
    this.#execMarginMs = options.execMarginMs ?? EXEC_MARGIN_MS
  }

  health(timeoutMs: number = QUICK_MS): Promise<HostHealth> {
    return this.#connection.json({ method: 'GET', path: '/health', timeoutMs }, schemas.hostHealth)
  }

  async configure(env: Record<string, string>): Promise<void> {
    await this.#post('/configure', { env }, schemas.empty)
  }

  async exec(request: ExecRequest, options: ExecOptions = {}): Promise<ExecResult> {
    const { signal } = options
    signal?.throwIfAborted()
    const collector = new ExecCollector(request.max_output_bytes, options.onOutput)
    const input: { error?: Error } = {}
    options.stdin?.once('error', (error: Error) => {
      input.error = error
    })
    const deadline = AbortSignal.timeout(Math.min(request.timeout_ms + this.#execMarginMs, 2 ** 31 - 1))
    const stop = signal ? AbortSignal.any([signal, deadline]) : deadline
    try {
      const result = await interruptible(this.#execAttached(request, options, collector, stop), stop)
      // Host has killed the command, whose input was cut with the stream.
      if (input.error && result.cancelled) throw input.error
      return result
    } catch (error) {
      if (input.error) throw input.error
      if (signal?.aborted) {
        // The caller's reason is what counts; a host that cannot be told is lost, and its commands with it.
        await this.#cancelOperation(request).catch(() => undefined)
        throw signal.reason
      }
      if (deadline.aborted) throw new SandboxLost(`host did not end a command ${this.#execMarginMs} ms after its deadline`, error)
      throw error
    }
  }

  cancel(invocationId: string): Promise<{ killed: number }> {
    return this.#post('/cancel', { invocation_id: invocationId }, schemas.cancelResult)
  }

  async outcomes(invocationId: string): Promise<OperationOutcome[]> {
    const query = { invocation_id: invocationId }
    const answer = await this.#connection.json(
      { method: 'GET', path: '/outcomes', query, timeoutMs: QUICK_MS },
      schemas.outcomesResult,
    )
    return answer.outcomes
  }

  async acknowledge(invocationId: string): Promise<void> {
    const query = { invocation_id: invocationId }
    await this.#connection.json({ method: 'DELETE', path: '/outcomes', query, timeoutMs: QUICK_MS }, schemas.empty)
  }

  list(request: ListRequest): Promise<ListResult> {
    return this.#post('/files/list', request, schemas.listResult)
  }

  async stat(request: FileScope): Promise<FileEntry | null> {
    return (await this.#post('/files/stat', request, schemas.statResult)).entry
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.#post('/files/read', request, schemas.readResult)
  }

  digest(request: DigestRequest): Promise<DigestResult> {
    return this.#post('/files/digest', request, schemas.digestResult)
  }

  write(request: WriteRequest): Promise<WriteResult> {
    return this.#post('/files/write', request, schemas.writeResult)
  }

  mkdir(request: MkdirRequest): Promise<MkdirResult> {
    return this.#post('/files/mkdir', request, schemas.mkdirResult)
  }

  move(request: MoveRequest): Promise<MoveResult> {
    return this.#post('/files/move', request, schemas.moveResult)
  }

  copy(request: CopyRequest): Promise<MoveResult> {
    return this.#post('/files/copy', request, schemas.moveResult)
  }

  remove(request: RemoveRequest): Promise<RemoveResult> {
    return this.#post('/files/remove', request, schemas.removeResult)
  }

  keepPrevious(request: PreviousRequest): Promise<KeepResult> {
    return this.#post('/files/keep', request, schemas.keepResult)
  }

  restorePrevious(request: PreviousRequest): Promise<RestoreResult> {
    return this.#post('/files/restore', request, schemas.restoreResult)
  }

  /** The stream fails when the file became shorter than `size_bytes` while it was read. */
  async download(request: FileScope): Promise<{ size_bytes: number; stream: NodeJS.ReadableStream }> {
    const query = { path: request.path, roots: JSON.stringify(request.roots) }
    const response = await this.#connection.open({ method: 'GET', path: '/files/content', query, timeoutMs: FILE_MS })
    const size = Number(response.headers['x-cloister-size'])
    if (!Number.isSafeInteger(size) || size < 0 || response.headers['content-length'] !== String(size)) {
      response.destroy()
      throw new SandboxLost('host did not say how large the file is')
    }
    return { size_bytes: size, stream: response }
  }

  upload(
    request: FileScope & { id: string; invocation_id?: string; create_parents: boolean },
    body: NodeJS.ReadableStream,
  ): Promise<WriteResult> {
    const query = {
      id: request.id,
      path: request.path,
      roots: JSON.stringify(request.roots),
      create_parents: String(request.create_parents),
      ...(request.invocation_id === undefined ? {} : { invocation_id: request.invocation_id }),
    }
    const headers = { 'content-type': 'application/octet-stream' }
    return this.#connection.json(
      { method: 'PUT', path: '/files/content', query, headers, stream: body, timeoutMs: FILE_MS },
      schemas.writeResult,
    )
  }

  startProcess(request: ProcessStart): Promise<ProcessInfo> {
    return this.#post('/processes', request, schemas.processInfo)
  }

  async listProcesses(): Promise<ProcessInfo[]> {
    return (await this.#connection.json({ method: 'GET', path: '/processes', timeoutMs: QUICK_MS }, schemas.processList))
      .processes
  }

  processOutput(processId: string, after: number, options: { whole_lines?: boolean } = {}): Promise<ProcessOutput> {
    const query = { process_id: processId, after: String(after), ...(options.whole_lines && { whole_lines: 'true' }) }
    return this.#connection.json({ method: 'GET', path: '/processes/output', query, timeoutMs: QUICK_MS }, schemas.processOutput)
  }

  stopProcess(processId: string, signal: string): Promise<{ stopped: boolean }> {
    return this.#post('/processes/stop', { process_id: processId, signal }, schemas.stopResult)
  }

  disconnect(): void {
    this.#connection.close()
  }

  #post<T extends z.ZodType>(path: string, body: unknown, schema: T): Promise<z.output<T>> {
    return this.#connection.json({ method: 'POST', path, body, timeoutMs: FILE_MS }, schema)
  }

  /** Runs the command, and attaches to it again when the connection is cut while host lives. */
  async #execAttached(
    request: ExecRequest,
    options: ExecOptions,
    collector: ExecCollector,
    stop: AbortSignal,
  ): Promise<ExecResult> {
    let response = await this.#openExec(request, options.stdin, stop)
    for (const wait of REATTACH_MS) {
      try {
        return await collector.read(response)
      } catch (error) {
        if (!(error instanceof StreamCut)) throw error
      }
      await delay(wait, undefined, { signal: stop })
      response = await this.#openExec({ ...request, attach_only: true }, undefined, stop).catch((error: unknown) => {
        throw error instanceof HostError ? new SandboxLost('host does not know the command any more', error) : error
      })
    }
    return collector.read(response).catch((error: unknown) => {
      throw lost(error)
    })
  }

  async #openExec(request: ExecRequest, stdin: NodeJS.ReadableStream | undefined, stop: AbortSignal): Promise<IncomingMessage> {
    const timeoutMs = request.timeout_ms + this.#execMarginMs
    const opened = this.#connection.open(
      stdin
        ? {
            method: 'POST',
            path: '/exec',
            headers: {
              'content-type': 'application/octet-stream',
              'x-cloister-exec': Buffer.from(JSON.stringify(request)).toString('base64'),
            },
            stream: stdin,
            timeoutMs,
          }
        : { method: 'POST', path: '/exec', body: request, timeoutMs },
    )
    const response = await opened
    if (stop.aborted) response.destroy()
    else stop.addEventListener('abort', () => response.destroy(), { once: true })
    return response
  }

  #cancelOperation(request: ExecRequest): Promise<unknown> {
    return this.#post('/cancel', { invocation_id: request.invocation_id, id: request.id }, schemas.cancelResult)
  }
}

/** Rejects when the signal fires, even if the work does not notice. */
async function interruptible<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
  })
  // Whichever loses the race must not become an unhandled rejection.
  work.catch(() => undefined)
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
