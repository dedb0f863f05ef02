import type { ToolContext } from '../catalog/define-tool.ts'
import type { Connector, ListedTool } from '../domain/connector.ts'

/** One call as it goes out. */
export interface ConnectorCall {
  connector: Connector
  tool: ListedTool
  args: Record<string, unknown>
  /** Of the list that was reviewed: a server that lists anything else is not called. */
  digest: string
  /** May it be asked twice without doing anything twice? */
  repeatable: boolean
  timeout_ms: number
}

/** What came of a call: the server's answer, unread, or the other list that it has now, and then it was not called. */
export type ConnectorAnswer = { result: unknown } | { listed: ListedTool[] }

/** How a kind of connector is reached. One for each kind of source. */
export interface ConnectorClient {
  /** @throws ConnectorFault, ToolError */
  call(
    call: ConnectorCall,
    context: Pick<ToolContext, 'sandbox' | 'session' | 'signal' | 'log' | 'actsOutside'>,
  ): Promise<ConnectorAnswer>
}

/** Told of a list that is not the reviewed one. Resolves with the reason for which the call is refused. */
export type ListObserver = (connector: Connector, listed: ListedTool[], sessionId: string) => Promise<string>
