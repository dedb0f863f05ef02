import { fileURLToPath } from 'node:url'
import type { Tool } from '../catalog/define-tool.ts'
import type { Connector, HttpSource, ListedTool, StdioSource, ToolDeclaration } from '../domain/connector.ts'
import { type ConnectorToolParts, connectorTools } from './connector-tools.ts'

/** For tests: connectors of published servers, and of a hostile one. */

const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))

/** A published server's program, where the sandbox finds it: the repository's packages are bound. */
export function published(name: 'everything' | 'filesystem' | 'memory', ...args: string[]): string[] {
  return ['node', `${NODE_MODULES}/@modelcontextprotocol/server-${name}/dist/index.js`, ...args]
}

export const HARMLESS: ToolDeclaration = {
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 20,
  output_limit_kb: 256,
}
export const CHANGING: ToolDeclaration = { ...HARMLESS, side_effects: 'irreversible', risk_level: 'medium' }

export function stdioConnector(
  name: string,
  command: string[],
  tools: Record<string, ToolDeclaration>,
  source: Partial<StdioSource> = {},
): Connector {
  return { name, source: { kind: 'stdio', command, env: {}, secrets: [], network: false, ...source }, tools }
}

export function httpConnector(
  name: string,
  url: string,
  tools: Record<string, ToolDeclaration>,
  source: Partial<HttpSource> = {},
): Connector {
  return {
    name,
    source: { kind: 'http', url, headers: {}, allow_loopback_http: true, allow_private_addresses: [], ...source },
    tools,
  }
}

export const OTHER_LIST = 'its list of tools is another one than was reviewed'

/** The tools of a connector as they are when this list was reviewed. */
export function reviewedTools(
  connector: Connector,
  listed: ListedTool[],
  parts: Partial<ConnectorToolParts>,
): (name: string) => Tool {
  const client = parts.client ?? { call: () => Promise.reject(new Error('this test calls nothing')) }
  const { tools } = connectorTools(connector, listed, null, { onOtherList: async () => OTHER_LIST, ...parts, client })
  return (name) => {
    const tool = tools.find(({ metadata }) => metadata.name === name)
    if (!tool) throw new Error(`${connector.name} offers no ${name}: ${tools.map(({ metadata }) => metadata.name).join(', ')}`)
    return tool
  }
}
