import { posix } from 'node:path'
import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { inGitDirectory } from '../../domain/path.ts'
import { isAllowed, pathArgument, shownPath } from '../workspace-path.ts'

/** Of names: more than 5000 of them need. */
const OUTPUT_BYTES = 4 * 1024 * 1024

export default defineTool({
  name: 'fs.glob',
  description: `Finds files of the workspace by name, sorted by path: * stands for any characters within a name, ? for one, ** for any
directories, {a,b} for either, [a-z] for one of these. The pattern is matched from the directory given by path: "*.ts" finds those directly
in it, "**/*.ts" all of them. Files in .git are left out, those that .gitignore names are not; symbolic links are not followed. No match is
a success with count 0. To search in files use fs.search.`,
  input: z.object({
    pattern: z
      .string()
      .min(1)
      .max(512)
      .regex(/^[^/]/, 'must be relative: it starts at path')
      .describe('The pattern, relative to path.'),
    path: pathArgument('The directory in which to look.').default('.'),
    max_files: z.int().min(1).max(5000).default(1000).describe('At most this many files are returned.'),
  }),
  output: z.object({
    matches: z.array(z.string()).describe('Relative to the workspace.'),
    count: z.int(),
    truncated: z.boolean(),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 30,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'All tests', args: { pattern: '**/*.{test,spec}.ts', path: 'src' } }],
  async handler({ pattern, path, max_files }, { sandbox, session }) {
    const entry = await sandbox.stat(path)
    if (!entry) throw new ToolError('not_found', `${shownPath(path)} does not exist`)
    if (entry.type !== 'dir') throw new ToolError('invalid_argument', `${shownPath(path)} is not a directory`)
    const argv = [
      'rg',
      '--files',
      '--null',
      '--no-config',
      '--no-follow',
      '--hidden',
      '--no-ignore',
      '--sort=path',
      '--no-messages',
    ]
    // With a slash before it the pattern is anchored, and cannot be the "!" of an exclusion.
    argv.push(`--glob=/${pattern.replace(/^(\.\/)+/, '')}`)
    if (!inGitDirectory(entry.path)) argv.push('--glob=!.git')
    const result = await sandbox.run([...argv, '--', '.'], {
      cwd: path,
      without_secrets: true,
      quiet: true,
      stop_after_bytes: OUTPUT_BYTES,
    })
    if (!result.stopped && result.exit_code > 1 && result.stderr.trim() !== '')
      throw new ToolError('invalid_argument', `the pattern is refused: ${result.stderr.trim().slice(0, 500)}`)
    const names = result.stdout.split('\0').slice(0, -1)
    const found = names.map((name) => posix.join(entry.path, name)).filter((name) => isAllowed(name, session.allowed_paths))
    const matches = found.slice(0, max_files).map(shownPath)
    const truncated = found.length > matches.length || result.stopped
    return { output: { matches, count: matches.length, truncated }, truncated }
  },
})
