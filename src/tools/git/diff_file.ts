import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument } from '../workspace-path.ts'
import { DIFF_FORMAT } from './diff-format.ts'
import { openRepository } from './git-command.ts'
import { refArgument, resolveCommit } from './git-ref.ts'
import { pathspecs } from './git-scope.ts'

export default defineTool({
  name: 'git.diff_file',
  description: `Shows how one file (or all in one directory) of the working tree differs from a commit, by default the last one, as a unified
diff: staged and unstaged changes together. stat adds how many lines changed, context says how many lines around a change are shown. A file
that git does not track has no diff. No difference is a success with an empty diff. It changes nothing; for the whole tree use git.diff.`,
  input: z.object({
    path: pathArgument('The file.'),
    ref: refArgument('Compare with this commit.').default('HEAD'),
    stat: z.boolean().default(false).describe('Count the changed lines too.'),
    context: z.int().min(0).max(1000).optional().describe('Lines of context around each change. Absent: 3, as git does.'),
  }),
  output: z.object({
    ref: z.string(),
    path: z.string(),
    diff: z.string(),
    stat: z.string().optional(),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 30,
  policy: { paths: [{ field: 'path', access: 'read' }], refs: ['ref'] },
  primary_output: 'diff',
  errors: ['invalid_argument', 'git_repo_error'],
  examples: [{ title: 'What was changed in a file', args: { path: 'src/sum.ts' } }],
  async handler({ path, ref, stat, context }, toolContext) {
    const specs = pathspecs(toolContext.session.allowed_paths, [path])
    const repository = await openRepository(toolContext)
    const commit = await resolveCommit(repository, ref)
    const around = context === undefined ? [] : [`--unified=${context}`]
    const { stdout, command, exit_code } = await repository.run(['diff', ...DIFF_FORMAT, ...around, commit, '--', ...specs])
    const counted = stat ? (await repository.run(['diff', ...DIFF_FORMAT, '--stat', commit, '--', ...specs])).stdout : null
    return { output: { ref, path, diff: stdout, ...(counted !== null && { stat: counted }), command }, exit_code }
  },
})
