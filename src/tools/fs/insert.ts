import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { FILE_LIMIT } from '../../domain/file-limit.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { linesOf, readWholeText } from './whole-text.ts'

export default defineTool({
  name: 'fs.insert',
  description: `Inserts lines into a text file of the workspace: after the given line, at the beginning with line 0, at the end with a line
past the end. A line end is added where one is missing, so that no two lines run together. The previous content is kept for one undo. It
does not make new files (use fs.write), and refuses files above 1 MiB, binary files, and a file that changes meanwhile.`,
  input: z.object({
    path: pathArgument('The file.'),
    line: z.int().min(0).describe('The line after which content goes. 0: before the first.'),
    content: z.string().min(1).max(FILE_LIMIT).describe('The lines to insert.'),
  }),
  output: z.object({
    path: z.string(),
    inserted_at: z.int().describe('The number of the first inserted line.'),
    total_lines: z.int(),
    sha256: z.string().describe('Of the new content.'),
  }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 15,
  policy: { paths: [{ field: 'path', access: 'write' }] },
  errors: ['invalid_argument', 'execution_failed'],
  examples: [{ title: 'A line at the beginning', args: { path: 'README.md', line: 0, content: '# Demo\n' } }],
  async handler({ path, line, content }, { sandbox }) {
    if (!(await sandbox.stat(path)))
      throw new ToolError('invalid_argument', `${shownPath(path)} does not exist: make it with fs.write`)
    const { text, sha256 } = await readWholeText(sandbox, path, FILE_LIMIT)
    const lines = linesOf(text)
    const at = Math.min(line, lines.length)
    const end = text.includes('\r\n') ? '\r\n' : '\n'
    const before = lines.slice(0, at).join('')
    const after = lines.slice(at).join('')
    const joint = before !== '' && !before.endsWith('\n') ? end : ''
    const close = after !== '' && !content.endsWith('\n') ? end : ''
    const whole = `${before}${joint}${content}${close}${after}`
    if (Buffer.byteLength(whole) > FILE_LIMIT)
      throw new ToolError('invalid_argument', `the file would be larger than ${FILE_LIMIT} bytes`)
    const written = await sandbox.write(path, whole, { expect_sha256: sha256, keep_previous: true })
    return { output: { path: shownPath(path), inserted_at: at + 1, total_lines: linesOf(whole).length, sha256: written.sha256 } }
  },
})
