import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'

export default defineTool({
  name: 'workspace.undo_edit',
  description: `Puts back the content that a file had before the last fs.write, fs.edit, fs.insert or fs.patch, in one step, with the
permission bits that it had, also when it was deleted since. There is one level for each file: a second undo has nothing to put back, and
neither has the undo of a file that was new. It knows nothing of changes by git, by commands, or by moving: use git.checkout for those.`,
  input: z.object({ path: pathArgument('The file.') }),
  output: z.object({ path: z.string(), restored: z.boolean(), sha256: z.string().describe('Of the content that is back.') }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 15,
  policy: { paths: [{ field: 'path', access: 'write' }] },
  errors: ['invalid_argument'],
  examples: [{ title: 'Take the last edit back', args: { path: 'src/sum.ts' } }],
  async handler({ path }, { sandbox }) {
    try {
      const { sha256 } = await sandbox.restorePrevious(path)
      return { output: { path: shownPath(path), restored: true, sha256 } }
    } catch (error) {
      if (!(error instanceof ToolError) || error.code !== 'not_found') throw error
      throw new ToolError(
        'invalid_argument',
        `there is nothing to undo for ${shownPath(path)}: it was not edited by a tool, was new then, or was restored already`,
        { cause: error },
      )
    }
  },
})
