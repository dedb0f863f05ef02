import { posix } from 'node:path'
import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { fileSymbolSchema } from './symbols/file-symbol.ts'
import { grammarFor } from './symbols/grammars.ts'
import { parseInWorker } from './symbols/parse-in-worker.ts'
import { patternSymbols } from './symbols/pattern-symbols.ts'

const MOST_BYTES = 1024 * 1024
const PARSING_MILLISECONDS = 10_000

export default defineTool({
  name: 'repo.symbols',
  description: `Lists what a source file declares (functions, methods, classes, types, constants, ...) with line and signature, in the order of
the file: an outline, to know where to read. Go, Python, JavaScript, TypeScript, Rust, Java and C are parsed, also where they have
errors; other languages are read by the look of their lines, which may miss or invent some. Files up to 1 MiB; at most 5000 symbols. It
looks into one file only: to find a name everywhere use repo.symbol_search.`,
  input: z.object({ path: pathArgument('The source file.') }),
  output: z.object({
    path: z.string(),
    language: z.string().describe('By the ending of the name; unknown: by none.'),
    symbols: z.array(fileSymbolSchema),
    count: z.int(),
    truncated: z.boolean().describe('There are more than 5000.'),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 15,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'What is in this file?', args: { path: 'src/dates.ts' } }],
  async handler({ path }, { sandbox, signal, excerpt }) {
    const { content, size_bytes } = await sandbox.read(path, { max_bytes: MOST_BYTES })
    if (size_bytes > MOST_BYTES)
      throw new ToolError(
        'invalid_argument',
        `${shownPath(path)} has ${size_bytes} bytes; at most ${MOST_BYTES} are parsed: search it with repo.symbol_search`,
      )
    if (content.includes(0)) throw new ToolError('invalid_argument', `${shownPath(path)} is not a text file`)
    // Before signatures are cut; line by line, so that lines keep their numbers.
    const source = content
      .toString()
      .split('\n')
      .map((line) => excerpt(line, 0))
      .join('\n')
    const extension = posix.extname(path).toLowerCase()
    const grammar = grammarFor(extension)
    const { symbols, truncated, language } = grammar
      ? {
          ...(await parseInWorker(source, grammar, { milliseconds: PARSING_MILLISECONDS, signal })),
          language: grammar.language,
        }
      : patternSymbols(source, extension)
    return { output: { path: shownPath(path), language, symbols, count: symbols.length, truncated }, truncated }
  },
})
