import { posix } from 'node:path'
import { z } from 'zod'
import { type ArtifactView, defineTool, type ToolSandbox } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { NamePattern } from './name-pattern.ts'

/** Entries of a directory that are looked through for matches: as many as host lists at once. */
const LOOKED_AT = 50_000

export default defineTool({
  name: 'artifact.list',
  description: `Lists files of the workspace that could be kept (by path and pattern), or with stored true the artifacts that this session
has stored already, newest first, with the ids that artifact.download takes. A pattern is matched against the path relative to path, and
without a slash against the name alone: * stands for any characters in a name, ? for one, ** for any directories. Files in .git are left out,
links are not followed. It changes nothing. For source code use fs.list, fs.glob and fs.search.`,
  input: z.object({
    path: pathArgument('The directory, or one file.').default('.'),
    recursive: z.boolean().default(true).describe('Directories below it too.'),
    pattern: z.string().min(1).max(512).optional().describe('Only what matches, for example "*.log" or "dist/**".'),
    max_entries: z.int().min(1).max(2000).default(200).describe('At most so many entries.'),
    stored: z
      .boolean()
      .default(false)
      .describe('The artifacts that are stored, instead of files: path and recursive say nothing then.'),
  }),
  output: z.object({
    path: z.string(),
    recursive: z.boolean(),
    pattern: z.string().nullable(),
    count: z.int(),
    truncated: z.boolean().describe('There are at least max_entries.'),
    artifacts: z.array(
      z.object({
        path: z.string().describe('Of a stored artifact: its name.'),
        size_bytes: z.int(),
        stored: z.literal(true).optional(),
        artifact_id: z.string().optional(),
        content_type: z.string().optional(),
        sha256: z.string().optional(),
        created_at: z.string().optional(),
      }),
    ),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 45,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found'],
  examples: [
    { title: 'What the build made', args: { path: 'dist', pattern: '*.tgz' } },
    { title: 'What is stored', args: { stored: true } },
  ],
  async handler({ path, recursive, pattern, max_entries, stored }, { sandbox, artifacts }) {
    const wanted = pattern === undefined ? null : new NamePattern(pattern)
    const matches = (name: string) => wanted === null || wanted.matches(name)
    const found = stored
      ? await storedArtifacts(artifacts, max_entries, matches)
      : await workspaceFiles(sandbox, { path, recursive, max_entries }, matches)
    const shown = found.entries.slice(0, max_entries)
    const truncated = found.cut || shown.length >= max_entries
    return {
      output: {
        path: shownPath(path),
        recursive,
        pattern: pattern ?? null,
        count: shown.length,
        truncated,
        artifacts: shown,
      },
      truncated,
    }
  },
})

/** The newest that are looked through for matches. */
const STORED_LOOKED_AT = 10_000

async function storedArtifacts(artifacts: ArtifactView, max: number, matches: (name: string) => boolean) {
  const listed = await artifacts.list(STORED_LOOKED_AT)
  const entries = listed
    .filter(({ name }) => matches(name))
    .slice(0, max)
    .map(({ id, name, content_type, size_bytes, sha256, created_at }) => ({
      path: name,
      size_bytes,
      stored: true as const,
      artifact_id: id,
      content_type,
      sha256,
      created_at,
    }))
  return { entries, cut: listed.length === STORED_LOOKED_AT }
}

async function workspaceFiles(
  sandbox: ToolSandbox,
  { path, recursive, max_entries }: { path: string; recursive: boolean; max_entries: number },
  matches: (name: string) => boolean,
) {
  const top = await sandbox.stat(path)
  if (!top) throw new ToolError('not_found', `${shownPath(path)} does not exist`)
  if (top.type === 'file') {
    const entries = matches(posix.basename(top.path)) ? [{ path: shownPath(path), size_bytes: top.size_bytes }] : []
    return { entries, cut: false }
  }
  const listed = await sandbox.list(path, { recursive, max_entries: LOOKED_AT, skip_git: true })
  const entries: { path: string; size_bytes: number }[] = []
  for (const entry of listed.entries) {
    if (entry.type !== 'file' || !matches(posix.relative(top.path, entry.path))) continue
    entries.push({ path: shownPath(entry.path), size_bytes: entry.size_bytes })
    if (entries.length >= max_entries) break
  }
  return { entries, cut: listed.truncated }
}
