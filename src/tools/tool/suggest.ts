import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { firstSentence } from '../../domain/brief-description.ts'
import type { ToolStatistics } from '../../domain/tool-statistics.ts'
import { rankTools } from './rank-tools.ts'

export default defineTool({
  name: 'tool.suggest',
  description: `Suggests tools for a task that is said in a sentence, best first, from those that this session may use. It goes by words and by
record, by rule and without a model: the score adds up what the words of the task are worth where a tool has them, less what failures, refusals
and slowness in the last 30 days take away, and why tells each part. Scores are comparable within one answer only. When no word fits, count is
0: use other words. It does not say whether a call would be allowed: for that use policy.check.`,
  input: z.object({
    task: z
      .string()
      .min(1)
      .max(2000)
      .refine((task) => task.trim() !== '', 'must say something')
      .describe('What is to be done, for example "find where a function is called".'),
    top_k: z.int().min(1).max(20).default(5).describe('At most so many suggestions.'),
    scope: z.enum(['repo', 'workspace', 'cluster', 'external']).optional().describe('Only tools of this scope.'),
    family: z.string().min(1).max(64).optional().describe('Only tools of this family, for example "git".'),
  }),
  output: z.object({
    task: z.string(),
    suggestions: z.array(
      z.object({
        name: z.string(),
        score: z.number(),
        description: z.string().describe('The first sentence of it.'),
        risk_level: z.enum(['low', 'medium', 'high']),
        why: z
          .string()
          .describe('The parts of the score: where which word was found, and what the record takes away, each with its points.'),
        record: z
          .object({
            calls: z.int(),
            success_rate: z.number().nullable().describe('Of the calls that ran; null: none ran.'),
            denied: z.int().describe('Calls that were refused.'),
            p95_duration_ms: z.number().nullable(),
          })
          .nullable()
          .describe("How calls in the last 30 days ended, of all sessions of this session's tenant; null: there were none."),
      }),
    ),
    count: z.int(),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 5,
  errors: [],
  examples: [{ title: 'How to find something', args: { task: 'find where a function is called' } }],
  async handler({ task, top_k, scope, family }, { catalog }) {
    const tools = catalog
      .list()
      .filter((tool) => tool.name !== 'tool.suggest')
      .filter((tool) => (scope ?? tool.scope) === tool.scope && (family ?? tool.family) === tool.family)
    const statistics = await catalog.statistics()
    const suggestions = rankTools(task, tools, statistics)
      .slice(0, top_k)
      .map(({ tool, score, why }) => ({
        name: tool.name,
        score,
        description: firstSentence(tool.description),
        risk_level: tool.risk_level,
        why,
        record: recordOf(statistics.get(tool.name)),
      }))
    return { output: { task, suggestions, count: suggestions.length } }
  },
})

function recordOf(statistics: ToolStatistics | undefined) {
  if (!statistics) return null
  const { calls, success_rate, denied, p95_duration_ms } = statistics
  return { calls, success_rate, denied, p95_duration_ms }
}
