import { z } from 'zod'
import { defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import { ToolError } from '../../domain/errors.ts'
import { decodeUtf8 } from '../../domain/utf8.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { maxBytesArgument, readBytes } from './file-bytes.ts'

/** Bytes whose base64 fits into the output of a call: half of a base64 is none. */
const FIT = 180 * 1024

export default defineTool({
  name: 'artifact.download',
  description: `Reads a stored artifact of this session (artifact_id, as artifact.list with stored shows it), or a file of the workspace
(path): give exactly one of them. The content comes as base64, or as text with encoding utf8, which fails for what is no UTF-8 text. It is
cut at max_bytes (base64 at 184320 at most), and truncated says so: with offset it is read on. It writes nothing into the workspace: for that use fs.write. To read source code use fs.read.`,
  input: z.object({
    path: pathArgument('A file of the workspace.').optional(),
    artifact_id: z.string().min(1).max(64).optional().describe('A stored artifact of this session.'),
    encoding: z.enum(['base64', 'utf8']).default('base64').describe('How the content is given.'),
    offset: z.int().min(0).default(0).describe('The first byte that is given: what is longer than max_bytes is read in parts.'),
    max_bytes: maxBytesArgument(256 * 1024),
  }),
  output: z.object({
    path: z.string().nullable().describe('Null: it is a stored artifact.'),
    artifact_id: z.string().optional(),
    name: z.string().optional().describe('Of a stored artifact.'),
    encoding: z.enum(['base64', 'utf8']),
    content: z.string().optional().describe('With encoding utf8.'),
    content_base64: z.string().optional().describe('With encoding base64.'),
    size_bytes: z.int().describe('Of the content that is given.'),
    sha256: z.string().describe('Of the content that is given.'),
    truncated: z.boolean(),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 45,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [
    { title: 'A file as text', args: { path: 'reports/coverage.md', encoding: 'utf8' } },
    { title: 'A stored artifact', args: { artifact_id: 'art_01h2xcejqtf2nbrexx3vqjhp41' } },
  ],
  async handler({ path, artifact_id, encoding, offset, max_bytes }, context) {
    const most = encoding === 'base64' ? Math.min(max_bytes, FIT) : max_bytes
    const found = await find({ path, artifact_id, offset, max_bytes: most }, context)
    const { content, truncated } = found
    const common = { encoding, size_bytes: content.length, sha256: sha256(content), truncated }
    if (encoding === 'base64')
      return { output: { ...found.named, ...common, content_base64: content.toString('base64') }, truncated }
    const text = decodeUtf8(offset > 0 ? fromCharacter(content) : content, truncated)
    if (text === null) throw new ToolError('execution_failed', `${found.shown} is not UTF-8 text: ask for encoding "base64"`)
    const bytes = Buffer.from(text)
    return {
      output: { ...found.named, ...common, size_bytes: bytes.length, sha256: sha256(bytes), content: text },
      truncated,
    }
  },
})

interface Found {
  named: { path: string | null; artifact_id?: string; name?: string }
  shown: string
  content: Buffer
  truncated: boolean
}

async function find(
  args: { path: string | undefined; artifact_id: string | undefined; offset: number; max_bytes: number },
  { sandbox, artifacts }: ToolContext,
): Promise<Found> {
  const { path, artifact_id, offset, max_bytes } = args
  if ((path === undefined) === (artifact_id === undefined))
    throw new ToolError('invalid_argument', 'give exactly one of path (a workspace file) and artifact_id (a stored artifact)')
  if (path !== undefined) {
    const shown = shownPath(path)
    return { named: { path: shown }, shown, ...(await readBytes(sandbox, path, max_bytes, offset)) }
  }
  const id = artifact_id as string
  const stored = await artifacts.read(id, max_bytes, offset)
  if (!stored)
    throw new ToolError('not_found', `this session has no artifact ${JSON.stringify(id)}: artifact.list with stored shows them`)
  const { artifact, content } = stored
  return {
    named: { path: null, artifact_id: artifact.id, name: artifact.name },
    shown: artifact.name,
    content,
    truncated: offset + content.length < artifact.size_bytes,
  }
}

/** Without the end of a character that began before: at most three bytes. */
function fromCharacter(content: Buffer): Buffer {
  let first = 0
  while (first < 3 && ((content[first] ?? 0) & 0xc0) === 0x80) first++
  return content.subarray(first)
}
