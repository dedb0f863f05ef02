import { canonicalJson, sha256 } from './canonical-json.ts'
import type { ToolMetadata } from './tool.ts'

/** What an administrator declares of a tool. The server's own word (its annotations) is never taken for it. */
export interface ToolDeclaration {
  scope: ToolMetadata['scope']
  side_effects: ToolMetadata['side_effects']
  risk_level: ToolMetadata['risk_level']
  requires_approval: boolean
  timeout_seconds: number
  output_limit_kb: number
}

/** A process in the session's sandbox that speaks MCP over its standard input and output. */
export interface StdioSource {
  kind: 'stdio'
  command: string[]
  /** Literal, hence no secrets. */
  env: Record<string, string>
  /** Names of the session's secrets that it gets. */
  secrets: string[]
  /** It is of no use without the network: its tools are there only in sessions that have it. */
  network: boolean
}

/** A server that Cloister itself calls, over streamable HTTP. */
export interface HttpSource {
  kind: 'http'
  url: string
  /** By header, the name of the environment variable that holds its value. */
  headers: Record<string, string>
  allow_loopback_http: boolean
  /** Addresses and networks (CIDR) that are not of the public internet and may be called all the same. */
  allow_private_addresses: string[]
}

/** An MCP server as the configuration has it. `tools`, by the names that the server gives them, are all that are let in. */
export interface Connector {
  name: string
  source: StdioSource | HttpSource
  tools: Record<string, ToolDeclaration>
}

/** A tool as an MCP server describes it: text of a stranger's. */
export interface ListedTool {
  name: string
  title: string | null
  description: string | null
  input_schema: Record<string, unknown>
  output_schema: Record<string, unknown> | null
  annotations: Record<string, unknown> | null
}

/** What an administrator has looked at and let in. */
export interface ConnectorReview {
  id: string
  connector: string
  /** Of where the tools came from: another command or URL is another server. */
  source_digest: string
  digest: string
  /** By name. */
  tools: ListedTool[]
  /** `tenant_id/actor_id`. */
  reviewed_by: string
  reviewed_at: string
}

/** A connector was seen to offer something else than what was reviewed. */
export interface ConnectorFlag {
  connector: string
  digest: string
  differences: ToolDifference[]
  /** Whose call found it; null: an administrator's look at the list. */
  session_id: string | null
  flagged_at: string
}

export type ToolDifference =
  | { kind: 'added' | 'removed'; tool: string }
  | { kind: 'changed'; tool: string; fields: (keyof ListedTool)[] }

/** `changed`: it was reviewed, and offers something else since, or is another server now. Its tools are refused. */
export type ConnectorState = 'unreviewed' | 'reviewed' | 'changed'

/** A connector, and what is known of its tools. */
export interface ConnectorSummary {
  name: string
  kind: 'stdio' | 'http'
  /** The command or the URL. */
  target: string
  state: ConnectorState
  /** Why its tools are refused, or not there; null: they are there. */
  reason: string | null
  review: { digest: string; reviewed_by: string; reviewed_at: string } | null
  flagged_at: string | null
}

/** One tool of a list, as its server describes it: a stranger's words. */
export interface ConnectorTool {
  listed: ListedTool
  /** Its name here; null: it is not one of our tools. */
  name: string | null
  /** Why it is not; null: it is. */
  problem: string | null
  /** What the configuration says of it; null: it does not name it. */
  declared: ToolDeclaration | null
}

export interface ConnectorList {
  digest: string
  tools: ConnectorTool[]
  /** Names that the configuration lets in and the server does not list. */
  missing: string[]
}

/** Of a list in the order of its names, so that a server may answer in any order. */
export function toolListDigest(tools: readonly ListedTool[]): string {
  return sha256(canonicalJson(byName(tools)))
}

export function sourceDigest(source: Connector['source']): string {
  return sha256(canonicalJson(source))
}

/** What stands in `now` and not in `before`, or otherwise. Empty: their digests are equal. */
export function toolDifferences(before: readonly ListedTool[], now: readonly ListedTool[]): ToolDifference[] {
  const old = new Map(before.map((tool) => [tool.name, tool]))
  const names = new Set(now.map(({ name }) => name))
  const removed = byName(before).filter(({ name }) => !names.has(name))
  return [
    ...removed.map(({ name }) => ({ kind: 'removed' as const, tool: name })),
    ...byName(now).flatMap((tool): ToolDifference[] => {
      const was = old.get(tool.name)
      if (!was) return [{ kind: 'added', tool: tool.name }]
      const fields = (Object.keys(tool) as (keyof ListedTool)[]).filter(
        (field) => canonicalJson(was[field]) !== canonicalJson(tool[field]),
      )
      return fields.length === 0 ? [] : [{ kind: 'changed', tool: tool.name, fields }]
    }),
  ]
}

/** In words, for a refusal: at most `limit` of them. */
export function describeDifferences(differences: readonly ToolDifference[], limit = 5): string {
  const told = differences
    .slice(0, limit)
    .map((each) => (each.kind === 'changed' ? `${each.tool} changed (${each.fields.join(', ')})` : `${each.tool} ${each.kind}`))
  return [...told, ...(differences.length > limit ? [`and ${differences.length - limit} more`] : [])].join(', ')
}

function byName(tools: readonly ListedTool[]): ListedTool[] {
  return tools.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
