import { z } from 'zod'

/** What a compiler, a linter or a formatter found wrong at one place. */
export const diagnosticSchema = z.object({
  path: z
    .string()
    .nullable()
    .describe('As the toolchain named it, relative to the workspace where it lies there. Null: no place.'),
  line: z.int().nullable(),
  column: z.int().nullable(),
  severity: z.enum(['error', 'warning', 'note']),
  code: z.string().nullable().describe('The rule or the number of the error, where the toolchain gives one.'),
  message: z.string(),
})

export type Diagnostic = z.infer<typeof diagnosticSchema>

/** More are of no use to anybody: the first one often causes the rest. */
const MOST = 200
/** Characters. A longer line is a program's output, not a finding. */
const LONGEST_LINE = 2000
const LONGEST_MESSAGE = 500

/** `src/a.c:3:5: error: message`, of gcc, clang and go (which says no severity), and `a.ts:3:5 - error TS1: message` of tsc. */
const COLONS = /^(?:vet: )?([^\s:][^:]*):(\d+)(?::(\d+))?(?::| -) (?:(fatal error|error|warning|note)(?: (TS\d+))?: ?)?(\S.*)$/
/** `a.ts(3,5): error TS1: message`, of tsc where nobody looks. */
const PARENTHESES = /^([^\s(][^(]*)\((\d+),(\d+)\): (error|warning|message) (TS\d+): (\S.*)$/
/** `  3:5  error  message  rule`, of eslint, below a line with the file's name. */
const ESLINT = /^ +(\d+):(\d+) +(error|warning) +(\S.*)$/
/** `error[E0308]: message`, of rustc, with the place in the next lines. */
const RUST = /^(error|warning)(?:\[(E\d+)\])?: (\S.*)$/
const RUST_PLACE = /^ *--> ([^:]+):(\d+):(\d+)$/
/** `  File "a.py", line 3`, of Python, with the error some lines further down. */
const PYTHON_PLACE = /^(?:E {2})? *(?:\*\*\* )?File "([^"]+)", line (\d+)/
const PYTHON_ERROR = /^(?:E +|Sorry: )?([A-Z][A-Za-z]*(?:Error|Warning)): (\S.*)$/
/** `a.py:3: in <module>`, of pytest: the way to an error, which is further down after an `E`. */
const PYTEST_PLACE = /^(\S+\.py):(\d+): in \S+$/
/** `/session/code/a.js:3`, of Node, with the error some lines further down. */
const NODE_PLACE = /^(?:file:\/\/)?(\S+\.[cm]?[jt]sx?):(\d+)$/
/** `[ERROR] /session/code/src/A.java:[3,5] message`, of Maven's compiler. */
const MAVEN = /^\[(ERROR|WARNING)\] (\S+):\[(\d+),(\d+)\] (\S.*)$/
/** rustfmt --check. */
const RUSTFMT = /^Diff in (\S.*) at line (\d+):$/

/** Looks for findings in what a toolchain printed (colours taken off). At most 200, each once. Pure; throws on no text. */
export function parseDiagnostics(output: string): Diagnostic[] {
  const found = new Map<string, Diagnostic>()
  /** What stands alone on the line before: for eslint the name of a file. */
  let heading: string | null = null
  let place: { path: string; line: number } | null = null
  let pending: Diagnostic | null = null
  const add = (diagnostic: Diagnostic) => {
    const key = JSON.stringify(diagnostic)
    if (!found.has(key)) found.set(key, diagnostic)
  }
  for (const line of output.split('\n')) {
    if (found.size >= MOST) break
    if (line.length > LONGEST_LINE) continue
    const rustPlace: RegExpExecArray | null = pending && RUST_PLACE.exec(line)
    if (rustPlace && pending) {
      add({ ...pending, ...at(rustPlace[1], rustPlace[2], rustPlace[3]) })
      pending = null
      continue
    }
    const step = PYTEST_PLACE.exec(line)
    if (step) {
      place = { path: shown(step[1] ?? ''), line: Number(step[2]) }
      continue
    }
    const single = parseLine(line, heading)
    if (single) {
      add(single)
      continue
    }
    const rust = RUST.exec(line)
    if (rust) {
      pending = make(null, null, null, rust[1], rust[2], rust[3])
      continue
    }
    const file = PYTHON_PLACE.exec(line) ?? NODE_PLACE.exec(line)
    if (file) place = { path: shown(file[1] ?? ''), line: Number(file[2]) }
    const python = PYTHON_ERROR.exec(line)
    if (python && place) {
      add(make(place.path, String(place.line), null, 'error', python[1], python[2]))
      place = null
    }
    // Of eslint the findings follow their file's name; an empty line ends them.
    if (/^\S/.test(line)) heading = line
    else if (line === '') heading = null
  }
  return [...found.values()]
}

function parseLine(line: string, heading: string | null): Diagnostic | null {
  const colons = COLONS.exec(line)
  if (colons && looksLikeFile(colons[1] ?? '')) return make(colons[1], colons[2], colons[3], colons[4], colons[5], colons[6])
  const parentheses = PARENTHESES.exec(line)
  if (parentheses) {
    const [, path, row, column, severity, code, message] = parentheses
    return make(path, row, column, severity, code, message)
  }
  const maven = MAVEN.exec(line)
  if (maven) return make(maven[2], maven[3], maven[4], maven[1]?.toLowerCase(), null, maven[5])
  const rustfmt = RUSTFMT.exec(line)
  if (rustfmt) return make(rustfmt[1], rustfmt[2], null, 'error', 'rustfmt', 'is not formatted as rustfmt would')
  const eslint = heading === null ? null : ESLINT.exec(line)
  if (!eslint || heading === null) return null
  const [message = '', rule] = (eslint[4] ?? '').split(/ {2,}/)
  return make(heading, eslint[1], eslint[2], eslint[3], rule, message)
}

/** A name with an extension and no blanks: `12:30:05 info` is a time. */
function looksLikeFile(path: string): boolean {
  return /\.[A-Za-z]\w{0,7}$/.test(path) && !/^\w+ \w+ /.test(path)
}

function make(
  path: string | null | undefined,
  line: string | null | undefined,
  column: string | null | undefined,
  severity: string | undefined,
  code: string | null | undefined,
  message: string | undefined,
): Diagnostic {
  return {
    ...at(path, line, column),
    severity: severity === 'warning' ? 'warning' : severity === 'note' || severity === 'message' ? 'note' : 'error',
    code: code || null,
    message: (message ?? '').slice(0, LONGEST_MESSAGE),
  }
}

function at(path: string | null | undefined, line: string | null | undefined, column: string | null | undefined) {
  return { path: path ? shown(path) : null, line: whole(line), column: whole(column) }
}

/** What is no safe number (a program may print anything) is no line. */
function whole(digits: string | null | undefined): number | null {
  const value = Number(digits)
  return digits && Number.isSafeInteger(value) ? value : null
}

function shown(path: string): string {
  return path.replace(/^\/session\/code\//, '').replace(/^\.\//, '')
}

/** Something that the tool itself has to say about its answer. */
export function note(message: string, path: string | null = null): Diagnostic {
  return { path, line: null, column: null, severity: 'note', code: null, message }
}
