import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'

export default defineTool({
  name: 'policy.check',
  description: `Tells whether a call of a tool would be allowed in this session, and whether it would need an approval, without running
anything. It asks the policy that will decide about the call itself, for the same principal and session, so use it before a call that
may be refused, or to plan. An unknown tool is answered with allowed false. An answer is no promise: files may change in between.`,
  input: z.object({
    tool_name: z.string().min(1).max(128).describe('For example "fs.write".'),
    args: z.record(z.string(), z.unknown()).default({}).describe('The arguments that the call would have.'),
  }),
  output: z.object({
    tool_name: z.string(),
    allowed: z.boolean(),
    reason: z.string(),
    requires_approval: z.boolean(),
    risk_level: z.enum(['low', 'medium', 'high']).nullable().describe('Null: there is no such tool.'),
    side_effects: z.enum(['none', 'reversible', 'irreversible']).nullable().describe('Null: there is no such tool.'),
    risk_note: z.string().optional(),
    violations: z.array(z.string()).optional().describe('Everything that speaks against the call.'),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 5,
  errors: [],
  examples: [{ title: 'May a file be written?', args: { tool_name: 'fs.write', args: { path: 'notes.txt', content: 'x' } } }],
  async handler({ tool_name, args }, { catalog, policy }) {
    const tool = catalog.get(tool_name)
    if (!tool) {
      const reason = `there is no tool ${JSON.stringify(tool_name)} in this session; the session's tools are listed by its catalog`
      return {
        output: {
          tool_name,
          allowed: false,
          reason,
          requires_approval: false,
          risk_level: null,
          side_effects: null,
          violations: [reason],
        },
      }
    }
    const verdict = await policy.check(tool_name, args)
    const note = riskNote(tool.risk_level, tool.side_effects)
    return {
      output: {
        tool_name,
        allowed: verdict.allowed,
        reason: verdict.reason,
        requires_approval: verdict.requires_approval,
        risk_level: tool.risk_level,
        side_effects: tool.side_effects,
        ...(note && { risk_note: note }),
        ...(verdict.violations.length > 0 && { violations: verdict.violations }),
      },
    }
  },
})

function riskNote(risk: 'low' | 'medium' | 'high', effects: 'none' | 'reversible' | 'irreversible'): string | null {
  if (effects === 'irreversible') return 'What it does cannot be undone.'
  if (risk === 'high') return 'It reaches beyond the workspace.'
  return null
}
