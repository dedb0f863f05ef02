import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { baseName, maxBytesArgument, readBytes } from './file-bytes.ts'

export default defineTool({
  name: 'artifact.upload',
  description: `Copies a file of the workspace into the artifact store, where people can fetch it and where it outlives the sandbox: use it
for what the work has produced (a report, a build). Values of the session's secrets are taken out of what is stored. A file that is longer
than max_bytes is cut, and truncated says so. It does not copy directories: make an archive first. The workspace is not changed.`,
  input: z.object({
    path: pathArgument('The file.'),
    name: z
      .string()
      .min(1)
      .max(200)
      .regex(/^[^/\\\p{Cc}]+$/u, 'must be a plain name without directories')
      .refine((name) => name !== '.' && name !== '..', 'must be a plain name')
      .optional()
      .describe('What the artifact is called. Absent: as the file.'),
    content_type: z
      .string()
      .max(200)
      .regex(/^[\w.+-]{1,127}\/[\w.+-]{1,127}(; ?[\w-]{1,32}=[\w.-]{1,64})?$/, 'must be a media type such as text/plain')
      .default('application/octet-stream')
      .describe('The media type, for example text/markdown.'),
    max_bytes: maxBytesArgument(2 * 1024 * 1024),
  }),
  output: z.object({
    path: z.string(),
    artifact_name: z.string(),
    content_type: z.string(),
    size_bytes: z.int().describe('Of what was read. What is stored is shorter or longer where secrets were taken out.'),
    sha256: z.string().describe('Of what was read.'),
    truncated: z.boolean(),
    summary: z.string(),
    output: z.string(),
    exit_code: z.int(),
  }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 45,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'Keep a report', args: { path: 'reports/coverage.md', content_type: 'text/markdown' } }],
  async handler({ path, name, content_type, max_bytes }, { sandbox }) {
    const { content, truncated } = await readBytes(sandbox, path, max_bytes)
    const artifact_name = name ?? baseName(path)
    const summary = `${shownPath(path)}: ${content.length} bytes stored as ${artifact_name}${truncated ? ` (cut at ${max_bytes})` : ''}`
    return {
      output: {
        path: shownPath(path),
        artifact_name,
        content_type,
        size_bytes: content.length,
        sha256: sha256(content),
        truncated,
        summary,
        output: summary,
        exit_code: 0,
      },
      exit_code: 0,
      truncated,
      artifacts: [{ name: artifact_name, content_type, content }],
    }
  },
})
