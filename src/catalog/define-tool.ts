import { z } from 'zod'
import { COMMON_TOOL_ERRORS, type ToolError } from '../domain/errors.ts'
import type { Artifact } from '../domain/invocation.ts'
import type { Principal } from '../domain/principal.ts'
import { policyHints, type ToolMetadata, type ToolPolicyHints } from '../domain/tool.ts'
import type { ToolArtifact } from '../domain/tool-artifact.ts'
import type { ToolStatistics } from '../domain/tool-statistics.ts'
import type { EntryType, FileEntry, ProcessInfo, ProcessOutput } from '../host/wire.ts'

/** What a handler returns. `exit_code` is of the command that answered the question, if there was one. */
export interface ToolResult<Output> {
  output: Output
  exit_code?: number | null
  artifacts?: ToolArtifact[]
  /** The output was shortened by the tool itself (its own limit, not the gate's). */
  truncated?: boolean
}

export interface CommandOptions {
  /** Absolute or relative to the workspace; default: the workspace. */
  cwd?: string
  env?: Record<string, string>
  stdin?: string | Uint8Array
  /** Default: what is left of the tool's deadline. */
  timeout_seconds?: number
  /** Git and other trusted plumbing does not need the session's secrets in its environment. */
  without_secrets?: boolean
  /**
   * The command is killed when it has written this much (stdout and stderr together), and what came before is returned with
   * `stopped: true`. For questions whose answer may be cut. Absent: only the invocation's total limit holds, and it throws.
   */
  stop_after_bytes?: number
  /** Do not show the output as log lines (plumbing whose output is parsed). */
  quiet?: boolean
}

/**
 * Secrets are taken out of what is only shown, so that a handler may cut it wherever it likes: a piece of a value would be found by
 * nothing that comes later.
 */
export interface CommandResult {
  exit_code: number
  /** Redacted, but of a `quiet` command, whose answer is data: what is cut out of that to be shown goes through `excerpt`. */
  stdout: string
  /** Redacted. */
  stderr: string
  duration_ms: number
  /** Killed at `stop_after_bytes`; the exit code says nothing then. */
  stopped: boolean
}

/**
 * A tool's only way into the sandbox. Paths are as the caller gave them; they were checked lexically by policy and are checked
 * again by host. Operations get ids in the order of the calls, so a handler that is run again after a crash finds what it
 * already did instead of doing it twice: a handler must be a function of its args and of what these calls return.
 *
 * Throws `ToolError` with a code of its own (`timeout`, `output_too_large`, `sandbox_lost`, `cancelled`, `not_found`,
 * `invalid_argument`, `execution_failed`; of a command that was cut off, `output` has `command`, `stdout` and `stderr` as far as
 * they came, redacted), or `CloisterError policy_denied` for a path that leaves what is allowed.
 */
export interface ToolSandbox {
  /** Runs argv and resolves whatever its exit code; throws only if it could not run, was cut off, or was killed by a signal. */
  run(argv: string[], options?: CommandOptions): Promise<CommandResult>
  list(
    path: string,
    options: { recursive: boolean; max_entries: number; skip_git: boolean },
  ): Promise<{ entries: FileEntry[]; truncated: boolean }>
  /** Null: nothing there. Symlinks are described themselves. */
  stat(path: string): Promise<FileEntry | null>
  /** Throws `not_found`; `invalid_argument` for a directory. */
  read(
    path: string,
    options: { max_bytes: number; offset?: number },
  ): Promise<{
    content: Buffer
    /** Of the whole file. */
    size_bytes: number
    /** Null unless the file was read whole. */
    sha256: string | null
  }>
  /** Of a file with its content, of a directory with all that is in it but `.git`, of a link with what it leads to. Null: nothing there. */
  digest(path: string): Promise<string | null>
  /** Replaces or makes a file in one rename. Throws `execution_failed` when `expect_sha256` does not hold. */
  write(
    path: string,
    content: string | Uint8Array,
    options?: { create_parents?: boolean; expect_sha256?: string | null; keep_previous?: boolean; mode?: string },
  ): Promise<{ bytes_written: number; sha256: string; created: boolean }>
  mkdir(path: string, options: { create_parents: boolean; mode: string }): Promise<{ created: boolean }>
  move(
    source: string,
    destination: string,
    options: { overwrite: boolean; create_parents: boolean },
  ): Promise<{ type: EntryType }>
  copy(
    source: string,
    destination: string,
    options: { overwrite: boolean; create_parents: boolean; recursive: boolean },
  ): Promise<{ type: EntryType }>
  remove(path: string, options: { recursive: boolean }): Promise<{ existed: boolean }>
  /** Remembers what a file holds now for one undo, before a command changes it. `kept` false: there was no file. */
  keepPrevious(path: string): Promise<{ kept: boolean }>
  /** Puts back what was remembered last. Throws `not_found` when nothing is. */
  restorePrevious(path: string): Promise<{ sha256: string }>
  /** Starts a process that outlives this invocation, with the session's secrets in its environment, or only with those named. */
  startProcess(argv: string[], options?: { cwd?: string; env?: Record<string, string>; secrets?: string[] }): Promise<ProcessInfo>
  listProcesses(): Promise<ProcessInfo[]>
  /** Whole lines from offset `after`, in bytes. Throws `not_found`. */
  processOutput(processId: string, after: number): Promise<ProcessOutput>
  /** Signals the process and all that it started, and waits a moment. Throws `not_found`. */
  stopProcess(processId: string, signal: NodeJS.Signals): Promise<{ stopped: boolean }>
}

/** What is stored of this session's invocations, secrets taken out. To store something, return it in `ToolResult.artifacts`. */
export interface ArtifactView {
  /** Newest first, at most `limit`. */
  list(limit: number): Promise<Artifact[]>
  /** Null: this session has no such artifact, or its bytes are gone. `content`: at most `maxBytes` from its beginning. */
  read(id: string, maxBytes: number, offset: number): Promise<{ artifact: Artifact; content: Buffer } | null>
}

/** What `policy.check` and `tool.suggest` may ask. */
export interface CatalogView {
  /** Tools that this session may use, sorted by name. */
  list(): ToolMetadata[]
  get(name: string): ToolMetadata | null
  /** How the tools did, by name, of all calls of the session's tenant; without those that nobody called lately. Numbers only. */
  statistics(): Promise<ReadonlyMap<string, ToolStatistics>>
}

export interface PolicyView {
  /** The same engine as the gate's, for this principal and session. Runs nothing. */
  check(
    toolName: string,
    args: Record<string, unknown>,
  ): Promise<{
    allowed: boolean
    reason: string
    requires_approval: boolean
    violations: string[]
  }>
}

/** Everything a handler may touch. */
export interface ToolContext {
  invocation_id: string
  session: {
    id: string
    allowed_paths: string[]
    network: 'none' | 'host'
    metadata: Record<string, string>
    /** Where the session was cloned from, and the name of the secret that opens it. Null: from nowhere. */
    repository: { url: string; auth_secret: string | null } | null
  }
  principal: Principal
  sandbox: ToolSandbox
  catalog: CatalogView
  policy: PolicyView
  artifacts: ArtifactView
  signal: AbortSignal
  /**
   * `text.slice(start, end)` with the session's secrets taken out of the whole before. For what is cut to be shown: what a handler
   * returns is redacted afterwards, and then a piece of a value is found no more.
   */
  excerpt(text: string, start: number, end?: number): string
  /** A line in the invocation's log, on the channel `cloister`. */
  log(message: string): void
  /**
   * Awaited by a handler just before it acts where host cannot tell afterwards what was done (another server). From then on the call
   * is never run again: after a crash it ends as `unknown_outcome`. What may be done twice needs none of this.
   */
  actsOutside(): Promise<void>
}

/** What may be touched by who only looks. */
export type StateContext = Pick<ToolContext, 'sandbox'> & { session: Pick<ToolContext['session'], 'allowed_paths'> }

/** May a tool end so? What is common to all tools need not be declared. Pure. */
export function isForeseen(error: Pick<ToolError, 'code' | 'sandboxFault'>, { errors }: Pick<ToolMetadata, 'errors'>): boolean {
  if (error.sandboxFault) return true
  return ([...COMMON_TOOL_ERRORS, ...errors] as string[]).includes(error.code)
}

export interface ToolSpec<Input extends z.ZodObject, Output extends z.ZodObject> {
  name: string
  /** What it does, when to use it, what it will not do. Written for a model. */
  description: string
  input: Input
  output: Output
  scope: ToolMetadata['scope']
  side_effects: ToolMetadata['side_effects']
  risk_level: ToolMetadata['risk_level']
  requires_approval: boolean
  /** Approval only for some args (overwriting): the reason, or null. Asked besides `requires_approval`. */
  approval_reason?: (args: z.output<Input>) => string | null
  /**
   * What a call would change beyond the files that its args name and, for git, what the repository holds, as any text that is another
   * one when that changed. Who approves has seen it so: changed since, the approval is stale.
   */
  state?: (args: z.output<Input>, context: StateContext) => Promise<string | null>
  timeout_seconds: number
  /** Default 256. */
  output_limit_kb?: number
  policy?: Partial<ToolPolicyHints>
  primary_output?: (keyof z.output<Output> & string) | null
  /** Every code of its own that a call may end with. One that is not here is a defect, which the gate writes into the server's log. */
  errors: ToolMetadata['errors']
  examples: { title: string; args: z.input<Input> }[]
  handler: (args: z.output<Input>, context: ToolContext) => Promise<ToolResult<z.input<Output>>>
}

/** A tool as the catalog holds it: metadata, schemas, handler. */
export interface Tool {
  metadata: ToolMetadata
  input: z.ZodObject
  output: z.ZodObject
  approvalReason: (args: Record<string, unknown>) => string | null
  /** Null: the tool has no state of its own to look at. */
  state: (args: Record<string, unknown>, context: StateContext) => Promise<string | null>
  handler: (args: Record<string, unknown>, context: ToolContext) => Promise<ToolResult<Record<string, unknown>>>
}

const IDEMPOTENCY = { none: 'guaranteed', reversible: 'best-effort', irreversible: 'none' } as const

/** Fills in what follows from the rest (idempotency, retries, cost) and makes JSON Schemas. Pure. */
export function defineTool<Input extends z.ZodObject, Output extends z.ZodObject>(spec: ToolSpec<Input, Output>): Tool {
  const idempotency = IDEMPOTENCY[spec.side_effects]
  const input = spec.input.strict()
  const metadata: ToolMetadata = {
    name: spec.name,
    family: spec.name.slice(0, spec.name.indexOf('.')),
    // Written over several lines in the source; one paragraph for whoever reads it.
    description: spec.description.replace(/\s+/g, ' ').trim(),
    input_schema: toJsonSchema(input, 'input'),
    output_schema: toJsonSchema(spec.output, 'output'),
    scope: spec.scope,
    side_effects: spec.side_effects,
    risk_level: spec.risk_level,
    requires_approval: spec.requires_approval,
    idempotency,
    constraints: {
      timeout_seconds: spec.timeout_seconds,
      max_retries: idempotency === 'guaranteed' ? 1 : 0,
      output_limit_kb: spec.output_limit_kb ?? 256,
    },
    cost_hint: spec.timeout_seconds <= 30 ? 'low' : spec.timeout_seconds <= 120 ? 'medium' : 'high',
    policy: policyHints(spec.policy),
    observability: { trace_name: 'workspace.tools', span_name: spec.name },
    primary_output: spec.primary_output ?? null,
    errors: spec.errors,
    examples: spec.examples as ToolMetadata['examples'],
  }
  return {
    metadata: Object.freeze(metadata),
    input,
    output: spec.output,
    approvalReason: (args) => spec.approval_reason?.(args as z.output<Input>) ?? null,
    state: async (args, context) => (await spec.state?.(args as z.output<Input>, context)) ?? null,
    handler: (args, context) => spec.handler(args as z.output<Input>, context) as Promise<ToolResult<Record<string, unknown>>>,
  }
}

function toJsonSchema(schema: z.ZodObject, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' }) as Record<string, unknown>
  return rest
}
