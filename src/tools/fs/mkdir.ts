import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'

export default defineTool({
  name: 'fs.mkdir',
  description: `Makes a directory in the workspace, with the parents that are missing unless create_parents is false. fs.write makes the
parents of a file by itself, so this is for directories that are to be empty. A directory that is there already is a success with created
false, unless exist_ok is false.`,
  input: z.object({
    path: pathArgument('The directory.'),
    create_parents: z.boolean().default(true).describe('Make the directories above it that are missing.'),
    mode: z
      .string()
      .regex(/^0?[0-7]{3}$/, 'must be three octal digits, as "0755"')
      .default('0755')
      .describe('Octal permission bits of a directory that is made.'),
    exist_ok: z.boolean().default(true).describe('A directory that is there already is no error.'),
  }),
  output: z.object({ path: z.string(), created: z.boolean(), mode: z.string() }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 20,
  policy: { paths: [{ field: 'path', access: 'write' }] },
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'A directory for fixtures', args: { path: 'test/fixtures' } }],
  async handler({ path, create_parents, mode, exist_ok }, { sandbox }) {
    const { created } = await sandbox.mkdir(path, { create_parents, mode })
    if (!created && !exist_ok)
      throw new ToolError('execution_failed', `${shownPath(path)} is there already; set exist_ok to accept that`)
    const entry = await sandbox.stat(path)
    return { output: { path: shownPath(path), created, mode: entry?.mode ?? mode } }
  },
})
