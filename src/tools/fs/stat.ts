import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'

export default defineTool({
  name: 'fs.stat',
  description: `Tells whether something is at a path of the workspace, and if so its type, size, permission bits and time of the last change.
Use it to check for a file before reading or writing it: nothing there is a success with exists false. A symbolic link is described
itself, not what it leads to.`,
  input: z.object({ path: pathArgument('The file or directory.') }),
  output: z.object({
    path: z.string(),
    exists: z.boolean(),
    type: z.enum(['file', 'dir', 'symlink', 'other']).optional(),
    size_bytes: z.int().optional(),
    mode: z.string().optional().describe('Octal permission bits, "0644".'),
    modified_at: z.string().optional().describe('RFC 3339, UTC.'),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 15,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument'],
  examples: [{ title: 'Is there a lockfile?', args: { path: 'package-lock.json' } }],
  async handler({ path }, { sandbox }) {
    const entry = await sandbox.stat(path)
    return { output: entry ? { ...entry, path: shownPath(path), exists: true } : { path: shownPath(path), exists: false } }
  },
})
