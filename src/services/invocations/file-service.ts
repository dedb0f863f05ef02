import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CloisterError, errors, ToolError } from '../../domain/errors.ts'
import { FILE_LIMIT } from '../../domain/file-limit.ts'
import { type Invocation, InvocationRefused } from '../../domain/invocation.ts'
import { displayPath, resolvePath } from '../../domain/path.ts'
import type { Caller } from '../../domain/principal.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { FileEntry, WriteResult } from '../../host/wire.ts'
import { HostError, SandboxLost } from '../../sandbox/sandbox-errors.ts'
import type { Files, Sandboxes } from '../contracts.ts'
import type { Performance } from './invocation-runner.ts'
import type { InvocationService } from './invocation-service.ts'
import { judgedBody } from './judged-body.ts'

/** A file that goes in or out, in bytes. */
export const RAW_FILE_LIMIT = 64 * 1024 * 1024

/** Slow clients send large files. */
const UPLOAD_SECONDS = 600
const DOWNLOAD_SECONDS = 60

export interface FileServiceDependencies {
  invocations: Pick<InvocationService, 'perform'>
  sandboxes: Pick<Sandboxes, 'redactor'>
}

/**
 * Raw files, through the gate as `fs.read` and `fs.write`: the same checks, approvals and records. An upload is judged as the call of
 * `fs.write` that writes the same bytes; of one that is too long for that, policy is told that it does not see the content. A download is
 * judged as the largest read that can be asked for, though it may be larger. A download is redacted as any
 * other output is, byte by byte and whatever the file holds, so that its length may differ from the file's. An upload that holds
 * a secret's value or placeholder is refused as args are: what was downloaded, and so redacted, would overwrite the original.
 */
export class FileService implements Files {
  readonly #deps: FileServiceDependencies

  constructor(deps: FileServiceDependencies) {
    this.#deps = deps
  }

  /** `entry` describes the file; `stream` has as many bytes as redaction leaves. */
  async download(caller: Caller, sessionId: string, path: string): Promise<{ entry: FileEntry; stream: NodeJS.ReadableStream }> {
    const found: { entry?: FileEntry; stream?: NodeJS.ReadableStream } = {}
    const performance: Performance = {
      timeoutSeconds: DOWNLOAD_SECONDS,
      run: async ({ tool, sandbox, roots }) => {
        const entry = await tool.stat(path)
        if (!entry) throw new ToolError('not_found', `there is no ${JSON.stringify(path)}`)
        const host = await sandbox()
        const { size_bytes, stream } = await fromHost(() => host.download({ path: absolute(path), roots }))
        if (size_bytes > RAW_FILE_LIMIT) {
          destroy(stream)
          throw tooLarge()
        }
        found.entry = { ...entry, size_bytes }
        found.stream = stream
        const output = {
          path: displayPath(absolute(path)),
          encoding: 'utf8',
          content: '',
          size_bytes: 0,
          total_bytes: size_bytes,
          truncated: true,
        }
        return { output, truncated: true }
      },
    }
    const read = { session_id: sessionId, tool_name: 'fs.read', args: { path, max_bytes: FILE_LIMIT } }
    const redactor = await this.#run(caller, read, performance).then(
      () => this.#deps.sandboxes.redactor(sessionId),
      (error: unknown) => {
        if (found.stream) destroy(found.stream)
        throw error
      },
    )
    if (!found.entry || !found.stream) throw errors.internal('a download succeeded without a stream')
    return { entry: found.entry, stream: redacted(found.stream, redactor) }
  }

  async upload(
    caller: Caller,
    sessionId: string,
    path: string,
    approved: boolean,
    body: NodeJS.ReadableStream,
  ): Promise<{ path: string; bytes_written: number; sha256: string; invocation: Invocation }> {
    const written: { result?: WriteResult } = {}
    const judged = await judgedBody(body)
    const performance: Performance = {
      timeoutSeconds: UPLOAD_SECONDS,
      unseen: judged.unseen,
      run: async ({ invocationId, sandbox, roots, signal }) => {
        const guard: Guard = { refusal: null }
        const source = Readable.from(guarded(judged.bytes(), await this.#deps.sandboxes.redactor(sessionId), guard), {
          objectMode: false,
        })
        const stop = () => source.destroy(signal.reason)
        signal.addEventListener('abort', stop, { once: true })
        const host = await sandbox()
        const request = {
          id: `${invocationId}/1`,
          invocation_id: invocationId,
          path: absolute(path),
          roots,
          create_parents: true,
        }
        try {
          written.result = await fromHost(() => host.upload(request, source))
        } catch (error) {
          // To host, and so to its client, a body that ends early looks like a fault of the connection.
          throw guard.refusal ?? error
        } finally {
          signal.removeEventListener('abort', stop)
          source.destroy()
        }
        const { bytes_written, sha256 } = written.result
        return { output: { path: displayPath(absolute(path)), bytes_written, sha256 } }
      },
    }
    const args = { path, ...judged.args, create_parents: true }
    const request = { session_id: sessionId, tool_name: 'fs.write', args, approved }
    try {
      const shown = { path, content: '[the body of the request]', create_parents: true }
      const invocation = await this.#run(caller, request, performance, shown)
      if (!written.result) throw errors.internal('an upload succeeded without a result')
      const { bytes_written, sha256 } = written.result
      return { path: displayPath(absolute(path)), bytes_written, sha256, invocation }
    } finally {
      // Refused before all of it was read: nobody will read the rest.
      destroy(body)
    }
  }

  /** A file request has no record as its answer: a tool that failed is an error here. */
  async #run(
    caller: Caller,
    request: Parameters<InvocationService['perform']>[1],
    performance: Performance,
    shownArgs?: Record<string, unknown>,
  ): Promise<Invocation> {
    const record = await this.#deps.invocations.perform(caller, request, performance, shownArgs)
    if (record.status === 'succeeded') return record
    const { code = 'internal', message = `the call is ${record.status}` } = record.error ?? {}
    const cause =
      code === 'not_found' || code === 'invalid_argument'
        ? new CloisterError(code, message)
        : code === 'timeout' || code === 'sandbox_lost'
          ? new CloisterError('sandbox_unavailable', message, { details: { reason: code } })
          : new CloisterError('conflict', message, { details: { reason: code } })
    throw new InvocationRefused(cause, record)
  }
}

/** Why a body may not go on. */
interface Guard {
  refusal: CloisterError | null
}

/** The body's bytes, until there are too many, until they hold what must not be written, or until the sender goes away. */
async function* guarded(body: AsyncIterable<Buffer>, redactor: Redactor, guard: Guard): AsyncGenerator<Buffer> {
  const secrets = redactor.bytes()
  const refuse = () => {
    const [name] = secrets.found
    if (name !== undefined)
      throw errors.invalidArgument(`the content holds the value or the placeholder of the secret ${name}`, [
        { path: 'body', reason: `use the environment variable ${name} in a command, and write neither into a file` },
      ])
  }
  let total = 0
  try {
    for await (const chunk of body) {
      total += chunk.length
      if (total > RAW_FILE_LIMIT) throw tooLarge()
      secrets.push(chunk)
      refuse()
      yield chunk
    }
    // A value that ends in what could be the beginning of an escape is known only here. Nothing is in its place yet.
    secrets.end()
    refuse()
  } catch (error) {
    guard.refusal =
      error instanceof CloisterError ? error : errors.invalidArgument('the body broke off before its end: nothing was written')
    throw guard.refusal
  }
}

function redacted(source: NodeJS.ReadableStream, redactor: Redactor): NodeJS.ReadableStream {
  const secrets = redactor.bytes()
  const out = new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, secrets.push(chunk)),
    flush: (done) => done(null, secrets.end()),
  })
  // An error on either side destroys the other; whoever reads `out` hears of it there.
  pipeline(source, out).catch(() => undefined)
  return out
}

async function fromHost<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof SandboxLost) throw new ToolError('sandbox_lost', error.message, { cause: error })
    if (!(error instanceof HostError)) throw error
    switch (error.code) {
      case 'path_denied':
        throw errors.policyDenied('path_scope', error.message)
      case 'not_found':
        throw new ToolError('not_found', error.message, { cause: error })
      case 'invalid_argument':
      case 'is_directory':
      case 'not_a_directory':
      case 'too_large':
        throw new ToolError('invalid_argument', error.message, { cause: error })
      case 'unauthorized':
      case 'stale_epoch':
        throw new ToolError('sandbox_lost', error.message, { cause: error })
      default:
        throw new ToolError('execution_failed', error.message, { cause: error })
    }
  }
}

/** Policy has let it pass already. */
function absolute(path: string): string {
  const verdict = resolvePath(path)
  if (!verdict.ok) throw errors.policyDenied('path_scope', verdict.reason)
  return verdict.path
}

function tooLarge(): CloisterError {
  return errors.payloadTooLarge(`a file of more than ${RAW_FILE_LIMIT} bytes does not go through: use a command in the sandbox`)
}

function destroy(stream: NodeJS.ReadableStream): void {
  if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy()
}
