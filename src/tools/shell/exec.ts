import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { pathArgument } from '../workspace-path.ts'

export default defineTool({
  name: 'shell.exec',
  description: `Runs a command line with bash -lc in the sandbox, with the session's secrets in its environment, and returns what it printed
and its exit code: a code other than 0 is an answer, not a failure. Use it only for what no other tool does: the others say what they did
and are easier to approve. With background it is started, keeps running, and is looked after with process.list, process.output and
process.stop. At its deadline a command is killed with all that it started. There is no terminal and nobody to answer questions.`,
  input: z.object({
    command: z
      .string()
      .min(1)
      .max(4096)
      .refine(withoutNul, 'must not hold a NUL byte')
      .describe('The command line, as bash reads it.'),
    stdin: z
      .string()
      .max(1024 * 1024)
      .optional()
      .describe('What the command reads from its standard input. Absent: nothing.'),
    timeout_seconds: z
      .int()
      .min(1)
      .max(600)
      .default(60)
      .describe('After so many seconds the command is killed. Not for background.'),
    cwd: pathArgument('The directory to run in.').default('.'),
    background: z.boolean().default(false).describe('Start it, and return at once with its process_id.'),
  }),
  output: z.object({
    command: z.string(),
    exit_code: z.int().nullable().describe('Null: it runs in the background.'),
    stdout: z.string(),
    stderr: z.string(),
    process_id: z.string().optional().describe('Of a background process.'),
  }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 600,
  output_limit_kb: 1024,
  policy: { paths: [{ field: 'cwd', access: 'read' }], writes_anywhere: true, needs_setting: 'CLOISTER_SHELL' },
  primary_output: 'stdout',
  errors: ['invalid_argument', 'not_found'],
  examples: [
    { title: 'Count lines', args: { command: 'wc -l src/*.ts | tail -1' } },
    { title: 'A server that keeps running', args: { command: 'npm run dev', background: true } },
  ],
  async handler({ command, stdin, timeout_seconds, cwd, background }, { sandbox }) {
    // Host follows links, and refuses those that lead out.
    await sandbox.list(cwd, { recursive: false, max_entries: 1, skip_git: false })
    const argv = ['bash', '-lc', command]
    if (background) {
      if (stdin !== undefined)
        throw new ToolError('invalid_argument', 'a background process has no stdin: leave one of the two out')
      const { process_id } = await sandbox.startProcess(argv, { cwd })
      return { output: { command, exit_code: null, stdout: '', stderr: '', process_id } }
    }
    const result = await sandbox.run(argv, { cwd, timeout_seconds, ...(stdin !== undefined && { stdin }) })
    const { exit_code, stdout, stderr } = result
    return { output: { command, exit_code, stdout, stderr }, exit_code }
  },
})

function withoutNul(text: string): boolean {
  return !text.includes('\0')
}
