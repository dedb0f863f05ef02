import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { FILE_LIMIT } from '../../domain/file-limit.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { decodeBase64 } from './file-text.ts'

export default defineTool({
  name: 'fs.write',
  description: `Writes a whole file of the workspace: makes it, or replaces its content in one step (its permission bits stay). Use it for
new files and for rewriting; for a small change in a file use fs.edit, for a change in several git.apply_patch. The previous content is
kept for one undo. At most 1 MiB. It does not write under a .git directory, and not through a symbolic link that leaves the workspace.`,
  input: z.object({
    path: pathArgument('The file.'),
    // Longer than 1 MiB in base64 with line ends, so that what is just too long gets the message below.
    content: z.string().max(2_000_000).describe('The whole new content. May be empty.'),
    encoding: z.enum(['utf8', 'base64']).default('utf8').describe('How content is to be read. base64 is for binary files.'),
    create_parents: z.boolean().default(true).describe('Make the directories that are missing.'),
  }),
  output: z.object({ path: z.string(), bytes_written: z.int(), sha256: z.string() }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 20,
  policy: { paths: [{ field: 'path', access: 'write' }], encoded: [{ field: 'content', by: 'encoding' }] },
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'A note', args: { path: 'notes/demo.txt', content: 'hola' } }],
  async handler({ path, content, encoding, create_parents }, { sandbox }) {
    const bytes = encoding === 'base64' ? decodeBase64(content) : Buffer.from(content)
    if (bytes.length > FILE_LIMIT)
      throw new ToolError(
        'invalid_argument',
        `content has ${bytes.length} bytes; at most ${FILE_LIMIT} can be written: split it up`,
      )
    const { bytes_written, sha256 } = await sandbox.write(path, bytes, { create_parents, keep_previous: true })
    return { output: { path: shownPath(path), bytes_written, sha256 } }
  },
})
