import type { OwnToolError } from './errors.ts'

/** Metadata of a tool, as it is listed, checked by policy, and shown. The schemas are JSON Schema made from zod. */
export interface ToolMetadata {
  name: string
  family: string
  description: string
  input_schema: Record<string, unknown>
  output_schema: Record<string, unknown>
  scope: 'repo' | 'workspace' | 'cluster' | 'external'
  side_effects: 'none' | 'reversible' | 'irreversible'
  risk_level: 'low' | 'medium' | 'high'
  requires_approval: boolean
  idempotency: 'guaranteed' | 'best-effort' | 'none'
  /** Seconds, count, KiB of inline output. All three are applied by the gate. */
  constraints: { timeout_seconds: number; max_retries: number; output_limit_kb: number }
  cost_hint: 'low' | 'medium' | 'high'
  policy: ToolPolicyHints
  observability: { trace_name: 'workspace.tools'; span_name: string }
  /** The output field that is cut when the output is longer than the limit. */
  primary_output: string | null
  /** What it may end with, besides what every tool may (`COMMON_TOOL_ERRORS`, and faults of the sandbox). */
  errors: readonly OwnToolError[]
  examples: { title: string; args: Record<string, unknown> }[]
  /** Absent: the tool is Cloister's own. */
  connector?: ToolConnector
}

/** Where a tool comes from that an MCP server offers. */
export interface ToolConnector {
  name: string
  /** The server's own name for it. */
  tool: string
  /** Of the list of tools that an administrator reviewed. */
  digest: string
  /** Why it may not be called now, for everybody; null: it may. */
  refused: string | null
}

/** Settings of the server that switch tools on. */
export type ToolSetting = 'CLOISTER_SHELL'

/**
 * Which args mean what, so that policy can check them without knowing the tool.
 * A `paths` field may hold a string or an array of strings; an absent one is not checked.
 */
export interface ToolPolicyHints {
  /** `write` is refused under any `.git`. */
  paths: { field: string; access: 'read' | 'write' }[]
  /** Unified diffs: every path that they name is checked as a written path. */
  patches: string[]
  /** Texts that stand for other bytes unless the argument `by` is `utf8`: a policy that does not know of `by` cannot judge those. */
  encoded: { field: string; by: string }[]
  /** Git refs: no leading `-`, no `:`, git's ref syntax, at most 256 characters. */
  refs: string[]
  /** Arrays of command arguments: at most 8 of at most 64 characters, and only what `allow` accepts for some toolchain. */
  command_args: { field: string; allow: string[] }[]
  /** Works on the whole repository without a path argument: needs `.` in the session's allowed paths. */
  whole_repository: boolean
  /** Arguments do not say what it writes in the sandbox: to policies it may write all of it. For tools with side effects only. */
  writes_anywhere: boolean
  /** Shown only when the session has network. */
  needs_network: boolean
  /** Names of git remotes: a plain name, never a URL, and among the session's `allowed_git_remotes` if it has any. */
  remotes: string[]
  /** Git refspecs: one ref, or two with a colon between. `reach` says which side the session's `allowed_git_ref_prefixes` bind. */
  refspecs: { field: string; reach: 'source' | 'destination' }[]
  /** Offered only by a server whose configuration switches this on: absent from the catalog otherwise. */
  needs_setting: ToolSetting | null
}

/** Nothing means anything, but for what is given. */
export function policyHints(given: Partial<ToolPolicyHints> = {}): ToolPolicyHints {
  return {
    paths: [],
    patches: [],
    encoded: [],
    refs: [],
    command_args: [],
    whole_repository: false,
    writes_anywhere: false,
    needs_network: false,
    remotes: [],
    refspecs: [],
    needs_setting: null,
    ...given,
  }
}
