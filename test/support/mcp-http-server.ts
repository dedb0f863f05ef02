import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface HttpTool {
  name: string
  description?: string
  inputSchema?: object
}

type Message = { id?: number | string; method: string; params: Record<string, unknown> }

/** A remote MCP server of the test's own, by hand, so that it can misbehave in every way. Without sessions, with answers as JSON. */
export class McpHttpServer {
  readonly url: string
  tools: HttpTool[] = [{ name: 'act' }, { name: 'look' }]
  /** Arguments of the calls that came. */
  readonly calls: Record<string, unknown>[] = []
  /** Requests of any kind. */
  requests = 0
  /** Of them those for a stream. */
  gets = 0
  lastHeaders: IncomingMessage['headers'] = {}
  /** Set: answers a call in the place of the usual answer. */
  onCall: ((response: ServerResponse, message: Message) => void) | null = null
  /** Set: answers a request for a stream in the place of a refusal. */
  onGet: ((response: ServerResponse) => void) | null = null
  /** Set: answers every request in the place of all else. */
  onRequest: ((response: ServerResponse) => void) | null = null
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
  }

  static async start(): Promise<McpHttpServer> {
    const server = createServer((request, response) => void made.#answer(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const made = new McpHttpServer(server)
    return made
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** Answers a request with a result. */
  static result(response: ServerResponse, id: Message['id'], result: unknown): void {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++
    this.lastHeaders = request.headers
    if (this.onRequest) return this.onRequest(response)
    if (request.method === 'GET') this.gets++
    if (request.method === 'GET' && this.onGet) return this.onGet(response)
    if (request.method !== 'POST') return void response.writeHead(405).end()
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const message = JSON.parse(Buffer.concat(chunks).toString()) as Message
    const { id, method, params } = message
    if (id === undefined) return void response.writeHead(202).end()
    if (method === 'initialize')
      return McpHttpServer.result(response, id, {
        protocolVersion: params['protocolVersion'],
        capabilities: { tools: {} },
        serverInfo: { name: 'remote', version: '1' },
      })
    if (method === 'tools/list')
      return McpHttpServer.result(response, id, {
        tools: this.tools.map((tool) => ({ inputSchema: { type: 'object', properties: { n: { type: 'integer' } } }, ...tool })),
      })
    if (method !== 'tools/call') {
      response.writeHead(200, { 'content-type': 'application/json' })
      return void response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'no such method' } }))
    }
    this.calls.push(params['arguments'] as Record<string, unknown>)
    if (this.onCall) return this.onCall(response, message)
    const text = `done as ${request.headers['authorization'] ?? 'nobody'}`
    McpHttpServer.result(response, id, { content: [{ type: 'text', text }] })
  }
}
