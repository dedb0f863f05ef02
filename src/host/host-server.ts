import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { BackgroundProcesses } from './background-processes.ts'
import { Environment } from './exec/environment.ts'
import { PipePool } from './exec/pipe-pool.ts'
import { exec, processStart, signalName } from './exec-routes.ts'
import { Fields } from './fields.ts'
import { FILE_CHANGES, FILE_QUERIES } from './file-routes.ts'
import { download, UploadCut, upload } from './files/file-content.ts'
import { HostFailure, HTTP_STATUS } from './host-failure.ts'
import { Operations } from './operations.ts'
import { parseJson, readJson } from './request-body.ts'
import { SessionRoot } from './session-root.ts'
import type { HostBoot, HostErrorBody, HostHealth } from './wire.ts'

/** Headers carry a whole ExecRequest when the body is standard input. */
const MAX_HEADER_BYTES = 2 * 1024 * 1024

type Handler = (request: IncomingMessage, response: ServerResponse, query: Fields) => Promise<object | undefined>

/** Host's HTTP interface: every request of `wire.ts`, authenticated and fenced by epoch. */
export class HostServer {
  readonly #boot: HostBoot
  readonly #tokenDigest: Buffer
  readonly #root: SessionRoot
  readonly #environment: Environment
  readonly #pool: PipePool
  readonly #operations = new Operations()
  readonly #processes: BackgroundProcesses
  readonly #server: Server
  readonly #handlers: Record<string, Handler>
  readonly #started = performance.now()
  /** Open connections and the epoch that each spoke for last. */
  readonly #connections = new Map<Socket, number>()
  #epoch: number

  constructor(boot: HostBoot) {
    this.#boot = boot
    this.#epoch = boot.epoch
    this.#tokenDigest = digest(`Bearer ${boot.token}`)
    this.#root = new SessionRoot(boot.prefix)
    this.#environment = new Environment(boot.base_env)
    this.#pool = new PipePool(boot.base_env.PATH)
    this.#processes = new BackgroundProcesses(this.#root, this.#environment, this.#pool)
    this.#handlers = this.#routes()
    this.#server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: 0,
      requestTimeout: 0,
      headersTimeout: 10_000,
    })
    this.#server.on('request', (request, response) => void this.#answer(request, response))
    this.#server.on('connection', (socket) => socket.once('close', () => this.#connections.delete(socket)))
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Serves on a listening socket that host inherited. */
  async listen(fd: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ fd }, resolve)
    })
    // The first command shall not wait for them.
    void this.#pool.fill()
  }

  /** Kills everything that host started. */
  killAll(): void {
    this.#operations.killAll()
    this.#processes.killAll()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#admit(request)
      const url = URL.parse(request.url ?? '/', 'http://host')
      if (!url) throw new HostFailure('not_found', 'there is no such operation')
      const handler = this.#handlers[`${request.method} ${url.pathname}`]
      if (!handler) throw new HostFailure('not_found', 'there is no such operation')
      const body = await handler(request, response, new Fields(Object.fromEntries(url.searchParams)))
      if (body) send(response, 200, body)
    } catch (error) {
      refuse(request, response, error)
    }
  }

  /** Throws unless the token is right and no newer server was here. A higher epoch takes over, and cuts those below off. */
  #admit(request: IncomingMessage): void {
    if (!timingSafeEqual(digest(request.headers.authorization ?? ''), this.#tokenDigest))
      throw new HostFailure('unauthorized', 'the token is wrong')
    const header = request.headers['x-cloister-epoch']
    if (typeof header !== 'string' || !/^\d{1,15}$/.test(header))
      throw new HostFailure('invalid_argument', 'x-cloister-epoch: an integer is wanted')
    const epoch = Number(header)
    if (epoch < this.#epoch) throw new HostFailure('stale_epoch', `epoch ${epoch} is over: ${this.#epoch} is in charge`)
    if (epoch > this.#epoch) this.#takeOver(epoch)
    this.#connections.set(request.socket, epoch)
  }

  /** A server that lost its lease neither reads on nor holds up a command by not reading. */
  #takeOver(epoch: number): void {
    this.#epoch = epoch
    for (const [socket, held] of this.#connections) if (held < epoch) socket.destroy()
  }

  #routes(): Record<string, Handler> {
    const routes: Record<string, Handler> = {
      'GET /health': async () => this.#health(),
      'POST /configure': async (request) => {
        this.#environment.configure(new Fields(await readJson(request)).environment('env'))
        return {}
      },
      'POST /exec': async (request, response) => {
        await exec(this.#operations, this.#root, this.#environment, this.#pool, request, response)
        return undefined
      },
      'POST /cancel': async (request) => {
        const fields = new Fields(await readJson(request))
        const id = fields.optional('id', (name) => fields.id(name))
        const signal = fields.optional('signal', (name) => signalName(fields, name)) ?? 'SIGKILL'
        return { killed: this.#operations.cancel(fields.id('invocation_id'), id, signal) }
      },
      'GET /outcomes': async (_request, _response, query) => ({ outcomes: this.#operations.outcomes(query.id('invocation_id')) }),
      'DELETE /outcomes': async (_request, _response, query) => {
        this.#operations.acknowledge(query.id('invocation_id'))
        return {}
      },
      'GET /files/content': async (_request, response, query) => {
        await download(this.#root, contentQuery(query), response)
        return undefined
      },
      'PUT /files/content': async (request, _response, query) => this.#upload(request, contentQuery(query)),
      'POST /processes': async (request) => this.#processes.start(processStart(new Fields(await readJson(request)))),
      'GET /processes': async () => ({ processes: this.#processes.list() }),
      'GET /processes/output': async (_request, _response, query) =>
        this.#processes.output(
          query.id('process_id'),
          integerQuery(query, 'after'),
          query.optional('whole_lines', (name) => query.string(name, 5)) === 'true',
        ),
      'POST /processes/stop': async (request) => {
        const fields = new Fields(await readJson(request))
        return this.#processes.stop(fields.id('process_id'), signalName(fields, 'signal'))
      },
    }
    for (const [name, run] of Object.entries(FILE_QUERIES)) {
      routes[`POST /files/${name}`] = async (request) => {
        const body = await readJson(request)
        const fields = new Fields(body)
        if (!fields.has('id')) return run(this.#root, fields)
        const question = `${name} ${JSON.stringify(body)}`
        return this.#operations.answer(fields.id('id'), fields.id('invocation_id'), question, () => run(this.#root, fields))
      }
    }
    for (const [name, run] of Object.entries(FILE_CHANGES)) {
      routes[`POST /files/${name}`] = async (request) => {
        const fields = new Fields(await readJson(request))
        const { result, replayed } = await this.#operations.once(fields.id('id'), fields.id('invocation_id'), () =>
          run(this.#root, fields),
        )
        return replayed && 'replayed' in result ? { ...result, replayed } : result
      }
    }
    return Object.assign(Object.create(null), routes)
  }

  async #upload(request: IncomingMessage, query: Fields): Promise<object> {
    const id = query.id('id')
    const invocationId = query.optional('invocation_id', (name) => query.id(name)) ?? id
    const cut = (error: unknown) => error instanceof UploadCut
    const { result, replayed } = await this.#operations.once(id, invocationId, () => upload(this.#root, query, request), cut)
    return replayed ? { ...result, replayed } : result
  }

  #health(): HostHealth {
    return {
      session_id: this.#boot.session_id,
      generation: this.#boot.generation,
      epoch: this.#epoch,
      uptime_ms: Math.round(performance.now() - this.#started),
      open_operations: this.#operations.running,
    }
  }
}

/** `roots` is JSON and `create_parents` a word in a query. */
function contentQuery(query: Fields): Fields {
  const createParents = query.optional('create_parents', (name) => query.string(name, 5))
  return query.with({
    roots: parseJson(query.string('roots', 500_000), 'roots'),
    ...(createParents === undefined
      ? {}
      : { create_parents: createParents === 'true' || (createParents === 'false' ? false : createParents) }),
  })
}

function integerQuery(query: Fields, name: string): number {
  const value = query.string(name, 16)
  if (!/^\d{1,15}$/.test(value)) throw new HostFailure('invalid_argument', `${name}: an integer is wanted`)
  return Number(value)
}

/** Digests have one length, so that comparing them tells nothing about the token's. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function send(response: ServerResponse, status: number, body: object): void {
  const json = Buffer.from(JSON.stringify(body))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': json.length }).end(json)
}

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const failure =
    error instanceof HostFailure ? error : new HostFailure('internal', error instanceof Error ? error.message : String(error))
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  send(response, HTTP_STATUS[failure.code], { error: { code: failure.code, message: failure.message } } satisfies HostErrorBody)
  // A body that is not wanted is read and thrown away: closed while it is being sent, the connection would look like a lost sandbox.
  if (!request.complete) request.resume()
}
