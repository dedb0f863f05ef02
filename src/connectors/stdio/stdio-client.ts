import type { CommandResult, ToolSandbox } from '../../catalog/define-tool.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import type { Connector, ListedTool, StdioSource } from '../../domain/connector.ts'
import { CONNECTOR_BRIDGE_ENV } from '../../host/wire.ts'
import type { ConnectorAnswer, ConnectorCall, ConnectorClient } from '../connector-client.ts'
import { ConnectorFault, said } from '../connector-fault.ts'
import { checkToolList } from '../listed-tools.ts'
import { BRIDGE_LOST, type BridgeAnswer, type BridgeRequest, bridgeAnswer, NO_BRIDGE } from './bridge-protocol.ts'

/** How long a bridge may take to be there. Its server may take longer: that is the call's own time. */
const APPEAR_MS = 10_000
const NODE = ['/bin/sh', '-c', `exec node "$${CONNECTOR_BRIDGE_ENV}" "$@"`, 'connector']
/** How much sooner than the command that brings it a request ends, in ms: starting a program takes so long where much else runs. */
const margin = (timeoutMs: number): number => Math.min(2000, timeoutMs / 4)

/**
 * MCP servers that run in the session's sandbox, behind a bridge. The operations of one call are, in this order: bring the request; if
 * no bridge was there, start one; bring the request again. Each is kept by host under its number, so a handler that is run again
 * after a crash takes the same way, and a request that was brought is not brought again.
 */
export class StdioConnectorClient implements ConnectorClient {
  async call(
    { connector, tool, args, digest, timeout_ms }: ConnectorCall,
    { sandbox, session }: Parameters<ConnectorClient['call']>[1],
  ): Promise<ConnectorAnswer> {
    const request: BridgeRequest = { op: 'call', digest, tool: tool.name, args, timeout_ms: timeout_ms - margin(timeout_ms) }
    const answer = await exchange(sandbox, connector, session.id, request, timeout_ms)
    if ('listed' in answer) return { listed: checkToolList(answer.listed) }
    return answer
  }

  /** What the server lists when it is started in this sandbox. @throws ConnectorFault, ToolError */
  async list(connector: Connector, sandbox: ToolSandbox, sandboxName: string, timeout_ms: number): Promise<ListedTool[]> {
    const request: BridgeRequest = { op: 'list', timeout_ms: timeout_ms - margin(timeout_ms) }
    const answer = await exchange(sandbox, connector, sandboxName, request, timeout_ms)
    if (!('listed' in answer)) throw new ConnectorFault('unfit', 'its bridge answered something else than a list')
    return checkToolList(answer.listed)
  }
}

type Answered = Exclude<BridgeAnswer, { fault: unknown }>

/** @param timeoutMs of each command that brings the request: longer than the request's own */
async function exchange(
  sandbox: ToolSandbox,
  connector: Connector,
  name: string,
  request: BridgeRequest,
  timeoutMs: number,
): Promise<Answered> {
  const source = connector.source as StdioSource
  // /tmp is the sandbox's own; the process driver's is everybody's, and a socket's path is short.
  const socket = `/tmp/cloister-${sha256(name).slice(0, 16)}-${connector.name}.sock`
  const bring = (waitMs: number) =>
    sandbox.run([...NODE, 'call', socket, `${waitMs}`], {
      stdin: JSON.stringify(request),
      without_secrets: true,
      quiet: true,
      timeout_seconds: timeoutMs / 1000,
    })
  let brought = await bring(0)
  if (brought.exit_code === NO_BRIDGE) {
    await sandbox.startProcess([...NODE, 'serve', socket, ...source.command], { env: source.env, secrets: source.secrets })
    brought = await bring(Math.min(APPEAR_MS, request.timeout_ms))
  }
  return read(brought)
}

function read({ exit_code, stdout, stderr }: CommandResult): Answered {
  if (exit_code === NO_BRIDGE) throw new ConnectorFault('unreachable', 'its server does not start: process.output may tell why')
  if (exit_code === BRIDGE_LOST) throw new ConnectorFault('lost', 'its server went away before it answered')
  if (exit_code !== 0) throw new ConnectorFault('lost', `it could not be asked: ${said(stderr.slice(-500))}`)
  const parsed = bridgeAnswer.safeParse(json(stdout))
  if (!parsed.success) throw new ConnectorFault('unfit', 'its answer is not one')
  const answer = parsed.data
  if ('fault' in answer) throw new ConnectorFault(answer.fault.code, said(answer.fault.message))
  return answer
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
