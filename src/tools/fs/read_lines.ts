import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { linesOf, readWholeText } from './whole-text.ts'

const LARGEST = 16 * 1024 * 1024
const MOST_LINES = 500

export default defineTool({
  name: 'fs.read_lines',
  description: `Reads a range of lines of a text file, each with its number and a tab before it (they are not part of the file: leave them
out of fs.edit). Use it after fs.search, or to go through a file that is too long for fs.read. At most 500 lines at a time, of a file of at
most 16 MiB. A range past the end is a success with empty content.`,
  input: z.object({
    path: pathArgument('The file.'),
    start_line: z.int().min(1).default(1).describe('The first line, counted from 1.'),
    end_line: z.int().min(1).optional().describe('The last line, included. Absent: 100 lines.'),
  }),
  output: z.object({
    path: z.string(),
    start_line: z.int(),
    end_line: z.int().describe('The last line that is in content, or the last one of the file.'),
    total_lines: z.int(),
    content: z.string(),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 15,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  primary_output: 'content',
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'Around line 120', args: { path: 'src/main.ts', start_line: 100, end_line: 140 } }],
  async handler({ path, start_line, end_line = start_line + 99 }, { sandbox }) {
    if (end_line < start_line)
      throw new ToolError('invalid_argument', `end_line ${end_line} comes before start_line ${start_line}`)
    if (end_line - start_line >= MOST_LINES)
      throw new ToolError(
        'invalid_argument',
        `${end_line - start_line + 1} lines asked for; at most ${MOST_LINES} are given at a time`,
      )
    const { text } = await readWholeText(sandbox, path, LARGEST)
    const lines = linesOf(text)
    const content = lines
      .slice(start_line - 1, end_line)
      .map((line, index) => `${start_line + index}\t${line}`)
      .join('')
    const total_lines = lines.length
    return { output: { path: shownPath(path), start_line, end_line: Math.min(end_line, total_lines), total_lines, content } }
  },
})
