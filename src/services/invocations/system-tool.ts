import { z } from 'zod'
import type { Tool } from '../../catalog/define-tool.ts'
import { policyHints } from '../../domain/tool.ts'

/** A step of the system, in the form in which invocations are recorded. It is in no catalog: nobody can call it. */
export function systemTool(name: 'session.setup' | 'session.clone' | 'session.copy_source'): Tool {
  return {
    metadata: {
      name,
      family: 'session',
      description: 'A step of the system itself.',
      input_schema: {},
      output_schema: {},
      scope: 'workspace',
      side_effects: 'irreversible',
      risk_level: 'low',
      requires_approval: false,
      idempotency: 'none',
      constraints: { timeout_seconds: 600, max_retries: 0, output_limit_kb: 256 },
      cost_hint: 'high',
      policy: policyHints(),
      observability: { trace_name: 'workspace.tools', span_name: name },
      primary_output: null,
      errors: ['execution_failed'],
      examples: [],
    },
    input: z.object({}),
    output: z.looseObject({}),
    approvalReason: () => null,
    state: async () => null,
    handler: () => Promise.reject(new Error(`${name} is not called as a tool`)),
  }
}
