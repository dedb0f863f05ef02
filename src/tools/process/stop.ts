import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { processArgument } from './process-argument.ts'

export default defineTool({
  name: 'process.stop',
  description: `Sends a signal to a background process of this session and to everything that it started, and waits a moment for its end.
stopped tells whether it has ended; when it ignores TERM, call it again with KILL. Stopping what has ended already is a success. It reaches
nothing but processes that were started with shell.exec and background.`,
  input: z.object({
    process_id: processArgument(),
    signal: z.enum(['TERM', 'INT', 'HUP', 'KILL']).default('TERM').describe('TERM asks, KILL forces.'),
  }),
  output: z.object({ stopped: z.boolean().describe('It has ended.') }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 15,
  errors: ['not_found'],
  examples: [{ title: 'End a server', args: { process_id: 'p1' } }],
  async handler({ process_id, signal }, { sandbox }) {
    return { output: await sandbox.stopProcess(process_id, `SIG${signal}`) }
  },
})
