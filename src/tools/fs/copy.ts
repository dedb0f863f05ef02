import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'

export default defineTool({
  name: 'fs.copy',
  description: `Copies a file within the workspace, or with recursive a directory. Symbolic links are copied as links. It refuses a
destination that exists, unless overwrite is set, which needs an approval like writing does; a directory only takes the place of an empty
one. Directories that hold a .git are not copied.`,
  input: z.object({
    source_path: pathArgument('What to copy.'),
    destination_path: pathArgument('The path of the copy (not the directory to put it in).'),
    overwrite: z.boolean().default(false).describe('Replace what is at the destination. Needs approval.'),
    create_parents: z.boolean().default(true).describe('Make the directories above the destination that are missing.'),
    recursive: z.boolean().default(false).describe('Copy a directory with all that is in it.'),
  }),
  output: z.object({
    source_path: z.string(),
    destination_path: z.string(),
    copied: z.boolean(),
    type: z.enum(['file', 'dir', 'symlink', 'other']),
  }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  approval_reason: ({ overwrite }) => (overwrite ? 'overwrite replaces what is at the destination, which is writing' : null),
  timeout_seconds: 25,
  policy: {
    paths: [
      { field: 'source_path', access: 'read' },
      { field: 'destination_path', access: 'write' },
    ],
  },
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'A file to start from', args: { source_path: '.env.example', destination_path: '.env' } }],
  async handler({ source_path, destination_path, overwrite, create_parents, recursive }, { sandbox }) {
    const { type } = await sandbox.copy(source_path, destination_path, { overwrite, create_parents, recursive })
    return { output: { source_path: shownPath(source_path), destination_path: shownPath(destination_path), copied: true, type } }
  },
})
