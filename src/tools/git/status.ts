import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { openRepository } from './git-command.ts'
import { pathspecs } from './git-scope.ts'

export default defineTool({
  name: 'git.status',
  description: `Shows which files of the repository are changed, staged or untracked, within the paths that the session may use. Short:
"git status --porcelain=v1" (two letters, a blank, the path; ?? is untracked); an empty status means that nothing is changed. It changes
nothing, and looks into no submodule's working tree. For the changes themselves use git.diff.`,
  input: z.object({
    short: z.boolean().default(true).describe('false: the long form, which also names the branch.'),
  }),
  output: z.object({ status: z.string(), command: z.array(z.string()) }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 20,
  primary_output: 'status',
  errors: ['git_repo_error'],
  examples: [{ title: 'What has changed', args: {} }],
  async handler({ short }, context) {
    const repository = await openRepository(context)
    const format = short ? '--porcelain=v1' : '--long'
    const args = ['status', format, '--untracked-files=normal', '--ignore-submodules=dirty', '--no-column']
    const { stdout, command, exit_code } = await repository.run([...args, '--', ...pathspecs(context.session.allowed_paths)])
    return { output: { status: stdout, command }, exit_code }
  },
})
