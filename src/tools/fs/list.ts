import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'

export default defineTool({
  name: 'fs.list',
  description: `Lists what is in a directory of the workspace, sorted by path, with type, size, permission bits and time of the last
change. Use it to find your way before reading; use fs.search to find text. Symbolic links are listed, never followed. A directory
named .git is left out unless the path asked for lies in one. When there are more than max_entries, truncated is true: list a
subdirectory instead.`,
  input: z.object({
    path: pathArgument('The directory.').default('.'),
    recursive: z.boolean().default(false).describe('Also list what lies in its subdirectories.'),
    max_entries: z.int().min(1).max(1000).default(200).describe('At most this many entries are returned.'),
  }),
  output: z.object({
    entries: z.array(
      z.object({
        path: z.string(),
        type: z.enum(['file', 'dir', 'symlink', 'other']),
        size_bytes: z.int(),
        mode: z.string().describe('Octal permission bits, "0644".'),
        modified_at: z.string().describe('RFC 3339, UTC.'),
      }),
    ),
    count: z.int().describe('How many entries are returned.'),
    truncated: z.boolean(),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 15,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found'],
  examples: [
    { title: 'The root of the workspace', args: {} },
    { title: 'Everything under src', args: { path: 'src', recursive: true, max_entries: 500 } },
  ],
  async handler({ path, recursive, max_entries }, { sandbox }) {
    const { entries, truncated } = await sandbox.list(path, { recursive, max_entries, skip_git: true })
    const shown = entries.map((entry) => ({ ...entry, path: shownPath(entry.path) }))
    return { output: { entries: shown, count: shown.length, truncated }, truncated }
  },
})
