import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Test support: a real git server (git http-backend behind HTTP) on loopback. What lies under `/private/` needs the token. */
export class GitHttpServer {
  readonly origin: string
  /** Of every request, in order. */
  readonly authorizations: (string | undefined)[] = []
  readonly requests: string[] = []
  readonly #server: Server
  readonly #folder: string
  readonly #token: string
  readonly #push: boolean

  private constructor(server: Server, folder: string, options: { token?: string; push?: boolean }) {
    this.#server = server
    this.#folder = folder
    this.#token = options.token ?? ''
    this.#push = options.push ?? false
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('request', (request, response) => this.#serve(request, response))
  }

  /** @param folder repositories, by name. `push`: they may be pushed to. */
  static async start(folder: string, options: { token?: string; push?: boolean } = {}): Promise<GitHttpServer> {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    return new GitHttpServer(server, folder, options)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** CGI, as git-http-backend(1) wants it. */
  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://git')
    this.authorizations.push(request.headers.authorization)
    this.requests.push(`${request.method} ${request.url}`)
    let path = url.pathname
    if (path.startsWith('/private/')) {
      const [, password] = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64')
        .toString()
        .split(':')
      if (password !== this.#token) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
        return
      }
      path = path.slice('/private'.length)
    }
    const config: [string, string][] = [
      ['uploadpack.allowAnySHA1InWant', 'true'],
      ['http.receivepack', String(this.#push)],
      ['safe.directory', '*'],
    ]
    const backend = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: this.#folder,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: path,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: request.headers['git-protocol']?.toString() ?? '',
        GIT_CONFIG_COUNT: String(config.length),
        ...Object.fromEntries(
          config.flatMap(([key, value], index) => [
            [`GIT_CONFIG_KEY_${index}`, key],
            [`GIT_CONFIG_VALUE_${index}`, value],
          ]),
        ),
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    request.pipe(backend.stdin)
    const chunks: Buffer[] = []
    backend.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    backend.once('close', () => {
      const output = Buffer.concat(chunks)
      const end = output.indexOf('\r\n\r\n')
      let status = 200
      for (const line of output.subarray(0, end).toString().split('\r\n')) {
        const [name = '', value = ''] = line.split(': ', 2)
        if (name === 'Status') status = Number.parseInt(value, 10)
        else response.setHeader(name, value)
      }
      response.writeHead(status).end(output.subarray(end + 4))
    })
  }
}
