import { posix } from 'node:path'
import { z } from 'zod'
import { defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { readText } from '../inventory/read-text.ts'
import { requireTarget } from '../toolchain/toolchain-target.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { judgeDockerfile, judgeImage, SEVERITIES } from './dockerfile-rules.ts'

const MOST_BYTES = 1024 * 1024
const NAMES = ['Dockerfile', 'Containerfile', 'docker/Dockerfile']

export default defineTool({
  name: 'security.scan_container',
  description: `Looks through a Dockerfile for what is known to be unwise: running as root, images without a digest or tag, secrets in ENV or ARG,
downloads piped into a shell, certificates that are not checked, and more; and through an image's name for how it is pinned. It judges
the text by rules and nothing else: no image is pulled or opened, and no vulnerability of a package is found.`,
  input: z.object({
    path: pathArgument('A Dockerfile, or a directory with one. Default: the root, unless image_ref is given.').optional(),
    image_ref: z
      .string()
      .max(300)
      .regex(/^[a-z0-9][a-z0-9._/:-]*(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/, 'must be the name of an image')
      .optional()
      .describe('The name of an image, as in FROM. Only the name is judged.'),
    max_findings: z.int().min(1).max(2000).default(200).describe('At most this many findings are returned.'),
    severity_threshold: z.enum(SEVERITIES).default('medium').describe('Only findings as severe as this, or more.'),
  }),
  output: z.object({
    scanner: z.literal('dockerfile-heuristics'),
    target: z.string(),
    findings: z.array(
      z.object({ rule: z.string(), severity: z.enum(SEVERITIES), line: z.int().nullable(), message: z.string() }),
    ),
    severity_counts: z
      .object({ low: z.int(), medium: z.int(), high: z.int(), critical: z.int() })
      .describe('Of all findings, also those below the threshold.'),
    truncated: z.boolean(),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 240,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [
    { title: 'The Dockerfile at the root', args: {} },
    { title: "An image's name", args: { image_ref: 'node:24-slim', severity_threshold: 'low' } },
  ],
  async handler({ path, image_ref, max_findings, severity_threshold }, context) {
    const file = path === undefined && image_ref !== undefined ? null : await dockerfile(path, context)
    const all = [...(image_ref === undefined ? [] : judgeImage(image_ref)), ...(file ? judgeDockerfile(file.text) : [])]
    const counts = { low: 0, medium: 0, high: 0, critical: 0 }
    for (const { severity } of all) counts[severity]++
    const least = SEVERITIES.indexOf(severity_threshold)
    const severe = all
      .filter(({ severity }) => SEVERITIES.indexOf(severity) >= least)
      .sort((a, b) => SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity))
    const truncated = severe.length > max_findings
    return {
      output: {
        scanner: 'dockerfile-heuristics' as const,
        target: [image_ref, file?.path].filter((each) => each !== undefined).join(', '),
        findings: severe.slice(0, max_findings),
        severity_counts: counts,
        truncated,
      },
      exit_code: 0,
      truncated,
    }
  },
})

async function dockerfile(path: string | undefined, { sandbox }: ToolContext): Promise<{ path: string; text: string }> {
  const given = path ?? '.'
  const isDirectory = (await requireTarget(sandbox, given)) === 'dir'
  for (const candidate of isDirectory ? NAMES.map((name) => posix.join(given, name)) : [given]) {
    const text = await readText(sandbox, candidate, MOST_BYTES)
    if (text !== null) return { path: shownPath(candidate), text }
  }
  throw new ToolError('not_found', `no ${NAMES.join(', ')} in ${shownPath(given)}: name the file by path`)
}
