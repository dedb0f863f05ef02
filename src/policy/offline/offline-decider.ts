import type { Caller } from '../../domain/principal.ts'
import type { Session } from '../../domain/session.ts'
import type { ToolMetadata } from '../../domain/tool.ts'
import type { Decision, PolicyEngine } from '../policy-engine.ts'

/** A tool, as far as deciding about its calls needs it. */
export interface OfflineTool {
  metadata: ToolMetadata
  /** As the gate parses arguments, defaults filled in. Null: they do not fit. */
  parse(args: Record<string, unknown>): { args: Record<string, unknown> } | { problem: string }
  approvalReason(args: Record<string, unknown>): string | null
}

export interface OfflineCall {
  caller: Caller
  session: Session
  tool_name: string
  args: Record<string, unknown>
}

/** Decides as the gate does, without a server: same rules, same catalog, the policies of a folder. A policy server is not asked. */
export class OfflineDecider {
  readonly #engine: PolicyEngine
  readonly #tools: ReadonlyMap<string, OfflineTool>

  constructor(engine: PolicyEngine, tools: readonly OfflineTool[]) {
    this.#engine = engine
    this.#tools = new Map(tools.map((tool) => [tool.metadata.name, tool]))
  }

  get version(): string {
    return this.#engine.version
  }

  /** `problem`: policy would not be asked about this call at all. */
  async decide({ caller, session, tool_name, args }: OfflineCall): Promise<{ decision: Decision } | { problem: string }> {
    const tool = this.#tools.get(tool_name)
    if (!tool) return { problem: `this version of Cloister has no tool ${JSON.stringify(tool_name)}` }
    const parsed = tool.parse(args)
    if ('problem' in parsed) return { problem: `the arguments do not fit the tool: ${parsed.problem}` }
    const approval_reason = tool.approvalReason(parsed.args)
    return { decision: await this.#engine.decide({ caller, session, tool: tool.metadata, args: parsed.args, approval_reason }) }
  }
}
