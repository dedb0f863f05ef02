import {
  Client,
  type jsonSchemaValidator,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  type Transport,
} from '@modelcontextprotocol/client'
import { type ListedTool, toolListDigest } from '../domain/connector.ts'
import type { Redactor } from '../domain/redaction.ts'
import { ConnectorFault, said } from './connector-fault.ts'
import { readToolList } from './listed-tools.ts'

/** A server that is asked for the newest protocol and does not answer speaks an older one. */
const PROBE_MS = 3000

/** Nothing of a stranger's schemas is compiled: answers are data, whatever their server promised of them. */
const NO_VALIDATION: jsonSchemaValidator = {
  getValidator: () => (input: unknown) => ({ valid: true, data: input as never, errorMessage: undefined }),
}

/** Takes out what the server was told in confidence, of all that it says, before anything else is done with it. */
type Redaction = Pick<Redactor, 'text' | 'value'>
const NOTHING: Redaction = { text: (text) => text, value: (value) => value }

export interface McpCall {
  tool: string
  args: Record<string, unknown>
  /** Of the list that was reviewed. */
  digest: string
  timeout_ms: number
  signal?: AbortSignal
  onProgress?: (message: string) => void
  /** Awaited when the list was found to be the reviewed one, just before the call goes out. */
  beforeCall?: () => Promise<void>
}

/**
 * One connection to an MCP server. It offers the server nothing: no sampling, no questions to a person, no roots. Every call compares
 * the server's list with the digest that it was given; the list is read anew whenever the server says that it changed, and when it is
 * older than the session was told to trust.
 */
export class McpSession {
  readonly #client: Client
  readonly #trustMs: number
  readonly #redactor: Redaction
  #list: { tools: ListedTool[]; digest: string; at: number; changes: number } | null = null
  /** How often the server said that its list changed. */
  #changes = 0
  #closed = false

  /**
   * @param trustMs how old a list may be, where the server says nothing
   * @param redactor absent: the server was told nothing that its callers may not know
   */
  constructor(trustMs: number, redactor = NOTHING) {
    this.#trustMs = trustMs
    this.#redactor = redactor
    this.#client = new Client(
      { name: 'cloister', version: '1' },
      {
        capabilities: {},
        jsonSchemaValidator: NO_VALIDATION,
        versionNegotiation: { mode: 'auto', probe: { timeoutMs: PROBE_MS } },
        inputRequired: { autoFulfill: false },
        listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => this.#changes++ } },
      },
    )
    this.#client.onclose = () => {
      this.#closed = true
    }
  }

  get closed(): boolean {
    return this.#closed
  }

  /** @throws ConnectorFault `unreachable` */
  async connect(transport: Transport, options: { timeout_ms: number; signal?: AbortSignal }): Promise<void> {
    try {
      await this.#client.connect(transport, {
        timeout: options.timeout_ms,
        maxTotalTimeout: options.timeout_ms,
        ...(options.signal && { signal: options.signal }),
      })
    } catch (error) {
      await this.close()
      if (error instanceof ConnectorFault) throw beforeCall(error)
      throw new ConnectorFault('unreachable', `its server could not be reached: ${this.#reason(error)}`, error)
    }
  }

  /** @throws ConnectorFault */
  async list(options: { timeout_ms: number; signal?: AbortSignal }): Promise<ListedTool[]> {
    return (await this.#listed(options)).tools
  }

  /** The server's answer, or its list when that is not the reviewed one; then nothing was called. @throws ConnectorFault */
  async call(call: McpCall): Promise<{ result: unknown } | { listed: ListedTool[] }> {
    const { tool, args, digest, timeout_ms, signal, onProgress } = call
    const listed = await this.#listed({ timeout_ms, ...(signal && { signal }) })
    if (listed.digest !== digest) return { listed: listed.tools }
    await call.beforeCall?.()
    try {
      const result = await this.#client.callTool(
        { name: tool, arguments: args },
        {
          timeout: timeout_ms,
          maxTotalTimeout: timeout_ms,
          ...(signal && { signal }),
          ...(onProgress && { onprogress: ({ message }) => message !== undefined && onProgress(this.#said(message)) }),
        },
      )
      return { result: this.#redactor.value(result) }
    } catch (error) {
      throw this.#callFault(error)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#client.close().catch(() => undefined)
  }

  async #listed({ timeout_ms, signal }: { timeout_ms: number; signal?: AbortSignal }) {
    const known = this.#list
    if (known && known.changes === this.#changes && Date.now() - known.at < this.#trustMs) return known
    const options = { timeout: timeout_ms, maxTotalTimeout: timeout_ms, ...(signal && { signal }) }
    const ends = Date.now() + timeout_ms
    // What the server says while its list is read holds for the next look.
    const changes = this.#changes
    try {
      const tools = await readToolList(async (cursor) => {
        if (Date.now() > ends) throw new ConnectorFault('timeout', 'its list of tools did not come in time')
        const page = await this.#client.request({ method: 'tools/list', params: cursor === null ? {} : { cursor } }, options)
        return { ...page, tools: this.#redactor.value(page.tools) }
      })
      this.#list = { tools, digest: toolListDigest(tools), at: Date.now(), changes }
      return this.#list
    } catch (error) {
      if (error instanceof ConnectorFault) throw beforeCall(error)
      const timeout = error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout
      throw new ConnectorFault(timeout ? 'timeout' : 'refused', `it did not list its tools: ${this.#reason(error)}`, error)
    }
  }

  /** What a failed call says of whether the server acted. */
  #callFault(error: unknown): ConnectorFault {
    if (error instanceof ConnectorFault) return error
    if (error instanceof ProtocolError)
      return new ConnectorFault('refused', `it answered with an error: ${this.#reason(error)}`, error)
    if (error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout)
      return new ConnectorFault('timeout', 'it did not answer in time', error)
    if (error instanceof SdkError && error.code === SdkErrorCode.UnsupportedResultType)
      return new ConnectorFault('refused', 'it asks a person something, which no connector may', error)
    // A status is an answer: whatever came of it, it is not silence. 5xx may have acted.
    if (error instanceof SdkHttpError && error.status !== undefined && error.status < 500)
      return new ConnectorFault('refused', `it answered with status ${error.status}`, error)
    return new ConnectorFault('lost', `it went away before it answered: ${this.#reason(error)}`, error)
  }

  #reason(error: unknown): string {
    if (!(error instanceof Error)) return this.#said(String(error))
    // Its message quotes a piece of what could not be read, as V8 cut it.
    if (error instanceof SyntaxError || error.cause instanceof SyntaxError) return 'it does not answer in JSON'
    return this.#said(error.message)
  }

  #said(text: string): string {
    return said(this.#redactor.text(text))
  }
}

/** Whatever was lost then, no call was. */
function beforeCall(fault: ConnectorFault): ConnectorFault {
  return fault.code === 'lost' ? new ConnectorFault('unreachable', fault.message, fault) : fault
}
