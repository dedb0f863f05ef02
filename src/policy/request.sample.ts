import { sampleSession } from '../domain/session.sample.ts'
import type { Session } from '../domain/session.ts'
import { policyHints, type ToolMetadata, type ToolPolicyHints } from '../domain/tool.ts'
import type { PolicyRequest } from './policy-engine.ts'

/** A tool for tests: low risk, in the workspace, without hints, with what is given changed. */
export function sampleTool(
  fields: Partial<Omit<ToolMetadata, 'policy'>> & { policy?: Partial<ToolPolicyHints> } = {},
): ToolMetadata {
  const { policy, ...rest } = fields
  return {
    name: 'fs.sample',
    family: 'fs',
    description: 'A tool for tests.',
    input_schema: {},
    output_schema: {},
    scope: 'workspace',
    side_effects: 'none',
    risk_level: 'low',
    requires_approval: false,
    idempotency: 'guaranteed',
    constraints: { timeout_seconds: 10, max_retries: 1, output_limit_kb: 256 },
    cost_hint: 'low',
    policy: policyHints(policy),
    observability: { trace_name: 'workspace.tools', span_name: 'fs.sample' },
    primary_output: null,
    errors: [],
    examples: [],
    ...rest,
  }
}

/** The owner of the sample session calls the sample tool. */
export function sampleRequest(fields: {
  session?: Partial<Session>
  tool?: Parameters<typeof sampleTool>[0]
  args?: Record<string, unknown>
  caller?: PolicyRequest['caller']
  approval_reason?: string | null
}): PolicyRequest {
  return {
    caller: fields.caller ?? { kind: 'user', tenant_id: 'default', actor_id: 'alice', admin: false, tool_roles: ['developer'] },
    session: sampleSession(fields.session),
    tool: sampleTool(fields.tool),
    args: fields.args ?? {},
    approval_reason: fields.approval_reason ?? null,
  }
}
