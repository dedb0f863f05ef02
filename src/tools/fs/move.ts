import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'

export default defineTool({
  name: 'fs.move',
  description: `Moves or renames a file, a directory or a symbolic link (itself) within the workspace. It refuses a destination that exists,
unless overwrite is set, which needs an approval like writing does; a directory only takes the place of an empty one. The same path twice
is a success with moved false.`,
  input: z.object({
    source_path: pathArgument('What to move.'),
    destination_path: pathArgument('Its new path (not the directory to put it in).'),
    overwrite: z.boolean().default(false).describe('Replace what is at the destination. Needs approval.'),
    create_parents: z.boolean().default(true).describe('Make the directories above the destination that are missing.'),
  }),
  output: z.object({ source_path: z.string(), destination_path: z.string(), moved: z.boolean() }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  approval_reason: ({ overwrite }) => (overwrite ? 'overwrite replaces what is at the destination, which is writing' : null),
  timeout_seconds: 20,
  policy: {
    paths: [
      { field: 'source_path', access: 'write' },
      { field: 'destination_path', access: 'write' },
    ],
  },
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'Rename a file', args: { source_path: 'src/util.ts', destination_path: 'src/dates.ts' } }],
  async handler({ source_path, destination_path, overwrite, create_parents }, { sandbox }) {
    const paths = { source_path: shownPath(source_path), destination_path: shownPath(destination_path) }
    const same = paths.source_path === paths.destination_path && (await sandbox.stat(source_path)) !== null
    if (same) return { output: { ...paths, moved: false } }
    await sandbox.move(source_path, destination_path, { overwrite, create_parents })
    return { output: { ...paths, moved: true } }
  },
})
