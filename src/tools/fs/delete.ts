import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { errors, ToolError } from '../../domain/errors.ts'
import { DATA, resolvePath, WORKSPACE } from '../../domain/path.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'

export default defineTool({
  name: 'fs.delete',
  description: `Deletes a file or a symbolic link (itself) of the workspace, or with recursive a directory and all that is in it. This
cannot be undone. It refuses the root of the workspace, anything in .git, and directories that hold a .git. Nothing there is an error,
unless force is set.`,
  input: z.object({
    path: pathArgument('What to delete.'),
    recursive: z.boolean().default(false).describe('Needed for a directory, empty or not.'),
    force: z.boolean().default(false).describe('Nothing there is a success.'),
  }),
  output: z.object({ path: z.string(), deleted: z.boolean(), existed: z.boolean() }),
  scope: 'workspace',
  side_effects: 'irreversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 20,
  policy: { paths: [{ field: 'path', access: 'write' }] },
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'Old build output', args: { path: 'dist', recursive: true, force: true } }],
  async handler({ path, recursive, force }, { sandbox }) {
    const verdict = resolvePath(path)
    if (verdict.ok && (verdict.path === WORKSPACE || verdict.path === DATA))
      throw errors.policyDenied('path_scope', `${path} is a root of the workspace and stays: delete what is in it`)
    const { existed } = await sandbox.remove(path, { recursive })
    if (!existed && !force) throw new ToolError('not_found', `${shownPath(path)} does not exist; set force to accept that`)
    return { output: { path: shownPath(path), deleted: existed, existed } }
  },
})
