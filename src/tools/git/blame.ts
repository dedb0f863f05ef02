import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { linesOf, readWholeText } from '../fs/whole-text.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { openRepository } from './git-command.ts'
import { pathspecs } from './git-scope.ts'

/** Of the file, in bytes. */
const LARGEST = 4 * 1024 * 1024

export default defineTool({
  name: 'git.blame',
  description: `Shows for each line of a text file which commit changed it last, by whom and when, in the file as it is now: lines that are
not committed yet say so. start_line and end_line limit it to a part, which is faster. It follows renames of the whole file, and nothing
else; what the repository lists as commits to ignore is not ignored. Files above 4 MiB are refused. It changes nothing.`,
  input: z.object({
    path: pathArgument('The file.'),
    start_line: z.int().min(1).max(10_000_000).optional().describe('The first line. Absent: 1.'),
    end_line: z.int().min(1).max(10_000_000).optional().describe('The last line. Absent: the last of the file.'),
  }),
  output: z.object({ path: z.string(), blame: z.string(), command: z.array(z.string()) }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 30,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  primary_output: 'blame',
  errors: ['invalid_argument', 'not_found', 'git_repo_error'],
  examples: [{ title: 'Who wrote these lines', args: { path: 'src/main.ts', start_line: 10, end_line: 30 } }],
  async handler({ path, start_line, end_line }, context) {
    // Blame takes a path and no pathspec: what is checked here is the same.
    pathspecs(context.session.allowed_paths, [path])
    if (start_line !== undefined && end_line !== undefined && start_line > end_line)
      throw new ToolError('invalid_argument', `start_line ${start_line} comes after end_line ${end_line}`)
    const repository = await openRepository(context)
    // Read by host and given to git, which would follow a link on the way to the file.
    const { text } = await readWholeText(context.sandbox, path, LARGEST)
    const lines = linesOf(text).length
    if (lines < (start_line ?? 1) && lines > 0)
      throw new ToolError('invalid_argument', `${shownPath(path)} has ${lines} lines: start_line must not be above that`)
    const range =
      start_line === undefined && end_line === undefined ? [] : [`-L${start_line ?? 1},${Math.min(end_line ?? lines, lines)}`]
    // The list of commits to ignore is a path in the configuration, and its content would be shown where it is none.
    const flags = ['--no-ignore-revs-file', '--no-textconv', '--no-progress', '--encoding=UTF-8', '--contents=-']
    const { stdout, command, exit_code } = await repository.run(
      ['blame', ...flags, ...(lines === 0 ? [] : range), '--', shownPath(path)],
      {
        stdin: text,
      },
    )
    return { output: { path: shownPath(path), blame: stdout, command }, exit_code }
  },
})
