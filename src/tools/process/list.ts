import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'

export default defineTool({
  name: 'process.list',
  description: `Lists the background processes of this session, running ones and those that ended lately, in the order in which they were
started. It shows what was started with shell.exec and background, and not what those processes started themselves. They end with the
sandbox: after a restart of it the list is empty. For what one of them printed use process.output.`,
  input: z.object({}),
  output: z.object({
    processes: z.array(
      z.object({
        process_id: z.string(),
        command: z.string(),
        state: z.enum(['running', 'exited']),
        exit_code: z.int().nullable().describe('Null: it runs, or a signal ended it.'),
        started_at: z.string(),
      }),
    ),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 15,
  errors: [],
  examples: [{ title: 'What runs', args: {} }],
  async handler(_, { sandbox }) {
    return { output: { processes: await sandbox.listProcesses() } }
  },
})
