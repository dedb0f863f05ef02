import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { FILE_LIMIT } from '../../domain/file-limit.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { decodeText } from './file-text.ts'

export default defineTool({
  name: 'fs.read',
  description: `Reads a file of the workspace. Text comes as it is (encoding "utf8"), anything that is not UTF-8 text as base64. At most
max_bytes are returned, cut on a character boundary; then truncated is true and total_bytes tells the size of the whole file: ask again
with a larger max_bytes, or search it with fs.search. It does not read directories (use fs.list), nor anything outside the workspace.`,
  input: z.object({
    path: pathArgument('The file.'),
    max_bytes: z.int().min(1).max(FILE_LIMIT).default(65536).describe('At most this many bytes of the file are returned.'),
  }),
  output: z.object({
    path: z.string(),
    encoding: z.enum(['utf8', 'base64']),
    content: z.string(),
    size_bytes: z.int().describe('Of the content that is returned, before base64.'),
    total_bytes: z.int().describe('Of the whole file.'),
    truncated: z.boolean(),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 20,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  primary_output: 'content',
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'A source file', args: { path: 'src/main.ts' } }],
  async handler({ path, max_bytes }, { sandbox }) {
    const { content, size_bytes: total_bytes } = await sandbox.read(path, { max_bytes })
    const cut = content.length < total_bytes
    const text = decodeText(content, cut)
    const size_bytes = text ? text.bytes : content.length
    const truncated = size_bytes < total_bytes
    const body = text
      ? { encoding: 'utf8' as const, content: text.text }
      : { encoding: 'base64' as const, content: content.toString('base64') }
    return { output: { path: shownPath(path), ...body, size_bytes, total_bytes, truncated }, truncated }
  },
})
