import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { processArgument } from './process-argument.ts'

export default defineTool({
  name: 'process.output',
  description: `Reads what a background process printed (stdout and stderr in one), in whole lines: from its beginning, or from the next of an
earlier answer. It returns at once with what there is, which may be nothing yet; a line without its end comes when it has one, or when the
process has ended. Only the last MiB is kept. It does not wait: to see more, call it again later.`,
  input: z.object({
    process_id: processArgument(),
    after: z.int().min(0).default(0).describe('Where to begin, in bytes: the next of an earlier answer. 0: the beginning.'),
  }),
  output: z.object({
    text: z.string(),
    next: z.int().describe('Give it as after to read on.'),
    dropped_bytes: z.int().describe('That many bytes before text are not shown: no longer kept, or part of a line.'),
    state: z.enum(['running', 'exited']),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 15,
  primary_output: 'text',
  errors: ['not_found'],
  examples: [{ title: 'From the beginning', args: { process_id: 'p1' } }],
  async handler({ process_id, after }, { sandbox }) {
    return { output: await sandbox.processOutput(process_id, after) }
  },
})
