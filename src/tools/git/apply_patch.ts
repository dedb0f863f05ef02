import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { openRepository, type Repository } from './git-command.ts'
import { APPLY, agreeWithGit, checkedPaths, doesNotApply, patchArgument, refuseLinks, withLineEnd } from './patch-checks.ts'

export default defineTool({
  name: 'git.apply_patch',
  description: `Applies a unified diff to the working tree (not to the index): whole, or not at all. Write it as "git diff" does: "--- a/x"
and "+++ b/x" before the hunks, counts in "@@ -line,count +line,count @@" that are right, three lines of context; new and deleted files,
renames and mode changes need "diff --git a/x b/x" with their header lines. With check it is only tried. It refuses paths outside the
session's, anything in .git, and symbolic links. Use fs.edit for a small change in one file.`,
  input: z.object({
    patch: patchArgument(),
    check: z.boolean().default(false).describe('Only check whether it applies; nothing is written.'),
  }),
  output: z.object({
    applied: z.boolean().describe('false when it was only checked.'),
    output: z.string().describe('What git said.'),
    changed_paths: z.array(z.string()).describe('Every path that the patch names, sorted.'),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 45,
  policy: { patches: ['patch'] },
  primary_output: 'output',
  errors: ['invalid_argument', 'execution_failed', 'git_repo_error'],
  examples: [
    {
      title: 'Mend one line',
      args: {
        patch:
          '--- a/src/sum.ts\n+++ b/src/sum.ts\n@@ -1 +1 @@\n-export const sum = (a, b) => a - b\n+export const sum = (a, b) => a + b\n',
      },
    },
  ],
  async handler({ patch, check }, context) {
    const text = withLineEnd(patch)
    const changed = checkedPaths(text, context.session.allowed_paths)
    const repository = await openRepository(context)
    await agreeWithGit(repository, text, changed)
    await refuseLinks(text, context)
    const checked = await apply(repository, [...APPLY, '--check'], text)
    const done = check ? checked : await apply(repository, APPLY, text)
    return {
      output: { applied: !check, output: `${done.stdout}${done.stderr}`, changed_paths: changed, command: done.command },
      exit_code: done.exit_code,
    }
  },
})

async function apply(repository: Repository, args: string[], patch: string) {
  const result = await repository.run(args, { stdin: patch, accept: [0, 1] })
  if (result.exit_code === 0) return result
  throw doesNotApply(result.stderr, result.exit_code, { command: result.command })
}
