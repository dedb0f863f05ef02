import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { withoutRepository } from '../git/git-command.ts'
import { APPLY, agreeWithGit, checkedPaths, doesNotApply, patchArgument, refuseLinks, withLineEnd } from '../git/patch-checks.ts'
import { mergedPatch } from './merged-patch.ts'

export default defineTool({
  name: 'fs.patch',
  description: `Applies a unified diff to files of the workspace: whole, or not at all, and says which hunks do not fit. The workspace need be
no git repository. With strategy apply, in a repository, hunks that do not fit are merged by what the patch's index lines say of the version
that it was made for (3-way). Write it as "git diff" does. It refuses paths outside the session's, anything in .git, and symbolic links. The
previous content of each file is kept for one undo. For a small change in one file use fs.edit.`,
  input: z.object({
    unified_diff: patchArgument(),
    strategy: z
      .enum(['reject_on_conflict', 'apply'])
      .default('reject_on_conflict')
      .describe('apply: merge what does not fit as it is. Either way a conflict changes nothing.'),
  }),
  output: z.object({
    applied: z.boolean(),
    strategy: z.enum(['reject_on_conflict', 'apply']),
    changed_paths: z.array(z.string()).describe('Every path that the patch names, sorted.'),
    output: z.string().describe('What git said.'),
  }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 45,
  policy: { patches: ['unified_diff'] },
  primary_output: 'output',
  errors: ['invalid_argument', 'execution_failed', 'git_repo_error'],
  examples: [
    {
      title: 'Mend one line',
      args: {
        unified_diff:
          '--- a/src/sum.ts\n+++ b/src/sum.ts\n@@ -1 +1 @@\n-export const sum = (a, b) => a - b\n+export const sum = (a, b) => a + b\n',
      },
    },
  ],
  async handler({ unified_diff, strategy }, context) {
    const patch = withLineEnd(unified_diff)
    const changed = checkedPaths(patch, context.session.allowed_paths)
    const git = withoutRepository(context)
    await agreeWithGit(git, patch, changed)
    await refuseLinks(patch, context)
    const merged = strategy === 'apply' ? await mergedPatch(patch, changed, context) : null
    const source = merged ? { file: [merged.file], options: {} } : { file: [], options: { stdin: patch } }
    try {
      // An empty result of a merge: everything is there already.
      const args = [...APPLY, ...(merged ? ['--allow-empty'] : [])]
      const checked = await git.run([...args, '--check', ...source.file], { ...source.options, accept: [0, 1, 128] })
      if (checked.exit_code !== 0) throw doesNotApply(checked.stderr, checked.exit_code, { strategy })
      for (const path of changed) await context.sandbox.keepPrevious(path)
      const done = await git.run([...args, ...source.file], { ...source.options, accept: [0, 1, 128] })
      if (done.exit_code !== 0) throw doesNotApply(done.stderr, done.exit_code, { strategy })
      const output = `${merged?.said ?? ''}${done.stdout}${done.stderr}`
      return { output: { applied: true, strategy, changed_paths: changed, output }, exit_code: done.exit_code }
    } finally {
      await merged?.discard()
    }
  },
})
