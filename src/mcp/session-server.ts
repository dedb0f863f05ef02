import {
  type CallToolRequest,
  type CallToolResult,
  INVALID_PARAMS,
  type ListResourcesResult,
  ProtocolError,
  type ReadResourceResult,
  ResourceNotFoundError,
  Server,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { CloisterError } from '../domain/errors.ts'
import { CORRELATION_ID, CORRELATION_ID_RULE, type Invocation } from '../domain/invocation.ts'
import { actorOf, type Caller, principalKey } from '../domain/principal.ts'
import { ToolNames } from '../domain/tool-names.ts'
import type { Artifacts, Invocations } from '../services/contracts.ts'
import type { EventLog } from '../services/event-log.ts'
import { artifactOf, artifactUri } from './artifact-uri.ts'
import { CallProgress } from './call-progress.ts'
import type { PendingCalls } from './pending-calls.ts'
import { renderResource } from './render-resource.ts'
import { CORRELATION_META, renderPending, renderRefusal, renderResult } from './render-result.ts'
import { renderTool } from './render-tool.ts'

/** Artifacts that are listed as resources, the newest ones. */
const LISTED = 100

export interface SessionServerDependencies {
  invocations: Pick<Invocations, 'tools' | 'invoke' | 'cancel'>
  artifacts: Artifacts
  eventLog: Pick<EventLog, 'subscribe'>
  pending: PendingCalls
  version: string
}

type McpCaller = Exclude<Caller, { kind: 'system' }>

/** The tools of one session, for one caller, as an MCP server. Everything goes through the gate, as this caller. */
export function sessionServer(deps: SessionServerDependencies, caller: McpCaller, sessionId: string): Server {
  const server = new Server(
    { name: 'cloister', title: `Cloister session ${sessionId}`, version: deps.version },
    {
      capabilities: { tools: {}, resources: {} },
      instructions:
        'Tools of one Cloister session: an isolated sandbox with its own files under /session/code. Every call is checked by policy and ' +
        'recorded. A refusal says what would be accepted. Calls that need a person say where to approve: an answer here never approves.',
    },
  )
  const calls = new SessionCalls(deps, caller, sessionId)
  server.setRequestHandler('tools/list', async () => {
    const { tools, names } = await calls.tools()
    return { tools: tools.map((tool) => renderTool(tool, names)) }
  })
  server.setRequestHandler('tools/call', async ({ params }, context) => {
    const { tools, names } = await calls.tools()
    // A client may use the name that everything else uses.
    const name = names.fromModel(params.name) ?? params.name
    const tool = tools.find((each) => each.name === name)
    if (!tool)
      throw new ProtocolError(INVALID_PARAMS, `there is no tool ${JSON.stringify(params.name.slice(0, 128))} in this session`)
    return server.projectCallToolResult(await calls.call(name, params, context), tool.output_schema)
  })
  server.setRequestHandler('resources/list', () => calls.listArtifacts())
  server.setRequestHandler('resources/templates/list', () => ({
    resourceTemplates: [
      { uriTemplate: artifactUri(sessionId, '{artifact_id}'), name: 'artifact', title: 'A file that a call left behind' },
    ],
  }))
  server.setRequestHandler('resources/read', ({ params }) => calls.readArtifact(params.uri))
  return server
}

class SessionCalls {
  readonly #deps: SessionServerDependencies
  readonly #caller: McpCaller
  readonly #sessionId: string

  constructor(deps: SessionServerDependencies, caller: McpCaller, sessionId: string) {
    this.#deps = deps
    this.#caller = caller
    this.#sessionId = sessionId
  }

  async tools() {
    const tools = await this.#deps.invocations.tools(this.#caller, this.#sessionId, {})
    return { tools, names: new ToolNames(tools.map(({ name }) => name)) }
  }

  /** One call through the gate. A client that leaves, or cancels, cancels it. */
  async call(tool_name: string, params: CallToolRequest['params'], context: ServerContext): Promise<CallToolResult> {
    const { pending } = this.#deps
    const args = params.arguments ?? {}
    const call = { caller: principalKey(this.#caller), session_id: this.#sessionId, tool_name, args }
    const known = pending.find(call)
    const given = params._meta?.[CORRELATION_META]
    const correlation_id = given === undefined ? known.id : correlationIdOf(given)
    try {
      const invocation = await this.#invoke({ tool_name, args, correlation_id }, context)
      if (invocation.status === 'pending_approval') {
        pending.waits(known, correlation_id)
        return renderPending(invocation)
      }
      pending.isOver(known)
      return renderResult(invocation)
    } catch (error) {
      if (!(error instanceof CloisterError)) throw error
      pending.isOver(known)
      return renderRefusal(error)
    }
  }

  async #invoke(
    call: { tool_name: string; args: unknown; correlation_id: string },
    { mcpReq }: ServerContext,
  ): Promise<Invocation> {
    const { invocations, eventLog } = this.#deps
    const token = mcpReq._meta?.progressToken
    const progress = new CallProgress(
      { correlation_id: call.correlation_id, actor: actorOf(this.#caller) },
      token === undefined
        ? null
        : (params) => mcpReq.notify({ method: 'notifications/progress', params: { progressToken: token, ...params } }),
    )
    const unsubscribe = eventLog.subscribe(this.#sessionId, (entry) => progress.take(entry))
    const cancel = () => {
      const id = progress.invocationId
      // What ended meanwhile is as good as cancelled; the gate says so by an error that changes nothing here.
      if (id !== null) invocations.cancel({ kind: 'system' }, id).catch(() => undefined)
    }
    mcpReq.signal.addEventListener('abort', cancel, { once: true })
    try {
      mcpReq.signal.throwIfAborted()
      const request = { session_id: this.#sessionId, request_approval: true, ...call }
      return await invocations.invoke(this.#caller, request)
    } finally {
      mcpReq.signal.removeEventListener('abort', cancel)
      unsubscribe()
      await progress.sent()
    }
  }

  /** By the tool that lists them, hence governed and recorded like any call. */
  async listArtifacts(): Promise<ListResourcesResult> {
    const call = { session_id: this.#sessionId, tool_name: 'artifact.list', args: { stored: true, max_entries: LISTED } }
    const { output } = await orRefusal(this.#deps.invocations.invoke(this.#caller, call))
    const artifacts = (output?.['artifacts'] ?? []) as {
      artifact_id: string
      path: string
      content_type: string
      size_bytes: number
    }[]
    return {
      resources: artifacts.map(({ artifact_id, path, content_type, size_bytes }) => ({
        uri: artifactUri(this.#sessionId, artifact_id),
        name: path,
        mimeType: content_type,
        size: size_bytes,
      })),
    }
  }

  async readArtifact(uri: string): Promise<ReadResourceResult> {
    const id = artifactOf(this.#sessionId, uri)
    const found = id === null ? null : await orRefusal(this.#deps.artifacts.read(this.#caller, this.#sessionId, id))
    if (!found) throw new ResourceNotFoundError(uri)
    return { contents: [renderResource(uri, found.artifact, found.content)] }
  }
}

/** @throws ProtocolError */
function correlationIdOf(given: unknown): string {
  if (typeof given === 'string' && CORRELATION_ID.test(given)) return given
  throw new ProtocolError(INVALID_PARAMS, `${CORRELATION_META} has to be ${CORRELATION_ID_RULE}`)
}

/** @throws ProtocolError for what was refused: these requests have no result that could say so */
async function orRefusal<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof CloisterError)) throw error
    throw new ProtocolError(INVALID_PARAMS, error.message)
  }
}
