import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { FILE_LIMIT } from '../../domain/file-limit.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { decodeText } from './file-text.ts'

export default defineTool({
  name: 'fs.edit',
  description: `Replaces text in a file of the workspace: old_string, exactly as it stands in the file (white space and line ends count),
becomes new_string. old_string must be found exactly once, so give enough of the lines around it; with replace_all every occurrence is
replaced. Read the file first. The previous content is kept for one undo. It refuses files above 1 MiB, binary files, and a file that
changes while it is being edited; it does not make new files (use fs.write).`,
  input: z.object({
    path: pathArgument('The file.'),
    old_string: z.string().min(1).max(FILE_LIMIT).describe('The text to replace, exactly as in the file.'),
    new_string: z.string().max(FILE_LIMIT).describe('What it becomes. Empty: the text is removed.'),
    replace_all: z.boolean().default(false).describe('Replace every occurrence.'),
  }),
  output: z.object({ path: z.string(), replacements: z.int(), sha256: z.string().describe('Of the new content.') }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 30,
  policy: { paths: [{ field: 'path', access: 'write' }] },
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'Mend a sum', args: { path: 'src/sum.ts', old_string: 'return a - b', new_string: 'return a + b' } }],
  async handler({ path, old_string, new_string, replace_all }, { sandbox }) {
    if (old_string === new_string) throw invalid('old_string and new_string are equal: nothing would change')
    const { content, size_bytes, sha256 } = await sandbox.read(path, { max_bytes: FILE_LIMIT })
    if (size_bytes > FILE_LIMIT || sha256 === null)
      throw invalid(`${shownPath(path)} has ${size_bytes} bytes; files above ${FILE_LIMIT} cannot be edited: use git.apply_patch`)
    const text = decodeText(content, false)?.text
    if (text === undefined) throw invalid(`${shownPath(path)} is not UTF-8 text: replace it whole with fs.write`)
    const found = occurrences(text, old_string)
    if (found === 0) throw invalid(`old_string was not found in ${shownPath(path)}. ${nearMiss(text, old_string)}`)
    if (found > 1 && !replace_all)
      throw invalid(`${found} matches for old_string in ${shownPath(path)}; give more context or set replace_all`)
    const parts = text.split(old_string)
    const edited = parts.join(new_string)
    if (Buffer.byteLength(edited) > FILE_LIMIT) throw invalid(`the edited file would be larger than ${FILE_LIMIT} bytes`)
    const written = await sandbox.write(path, edited, { expect_sha256: sha256, keep_previous: true })
    return { output: { path: shownPath(path), replacements: parts.length - 1, sha256: written.sha256 } }
  },
})

function invalid(message: string): ToolError {
  return new ToolError('invalid_argument', message)
}

/** Overlapping ones count: "aa" stands in "aaa" twice, and which one is meant is not known. */
function occurrences(text: string, part: string): number {
  let count = 0
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + 1)) count++
  return count
}

/** Says why text that looks right is not there, as far as white space is the reason. */
function nearMiss(text: string, wanted: string): string {
  if (text.includes('\r\n') && text.replaceAll('\r\n', '\n').includes(wanted))
    return 'The file has CRLF line ends: write them as \\r\\n.'
  const squeeze = (value: string) => value.replace(/\s+/g, ' ').trim()
  const first = wanted.split('\n').find((line) => line.trim() !== '')
  const line = first === undefined ? -1 : text.split('\n').findIndex((candidate) => squeeze(candidate) === squeeze(first))
  if (squeeze(wanted) !== '' && squeeze(text).includes(squeeze(wanted)))
    return `It differs only in white space${line === -1 ? '' : ` (see line ${line + 1})`}: copy it exactly as fs.read shows it.`
  return line === -1
    ? 'Read the file again and copy the text exactly, without line numbers.'
    : `Its first line stands at line ${line + 1}, what follows is different: read the file again.`
}
