import { z } from 'zod'
import type { Diagnostic } from '../toolchain/parse-diagnostics.ts'
import { shownPath } from '../workspace-path.ts'

/** For people cargo prints less than it knows: with this it prints one JSON message a line. */
export const JSON_MESSAGES = '--message-format=json'

const MOST = 200

const SPAN = z.object({ file_name: z.string(), line_start: z.int(), column_start: z.int(), is_primary: z.boolean() })

/** The messages that are of use here, as https://doc.rust-lang.org/cargo/reference/external-tools.html has them. */
const MESSAGE = z.union([
  z.object({
    reason: z.literal('compiler-message'),
    message: z.object({
      message: z.string(),
      level: z.string(),
      code: z.object({ code: z.string() }).nullable(),
      spans: z.array(SPAN),
      rendered: z.string().nullable(),
    }),
  }),
  z.object({ reason: z.literal('compiler-artifact'), executable: z.string().nullable() }),
  z.object({ reason: z.string() }),
])

type Message = z.infer<typeof MESSAGE>

/** Null: an ordinary line. */
function parseMessage(line: string): Message | null {
  if (!line.startsWith('{"reason":')) return null
  try {
    return MESSAGE.safeParse(JSON.parse(line)).data ?? null
  } catch {
    // A build script printed something that begins like a message.
    return null
  }
}

/** What cargo would have printed for people. Pure. */
export function cargoText(output: string): string {
  return output
    .split(/(?<=\n)/)
    .map((line) => {
      const message = parseMessage(line)
      if (!message) return line
      if ('message' in message) return message.message.rendered ?? ''
      return 'executable' in message && message.executable !== null ? `built ${shownPath(message.executable)}\n` : ''
    })
    .join('')
}

/** What the compiler found. Sums ("2 warnings emitted") have no place, and are left out. Pure. */
export function cargoFindings(output: string): Diagnostic[] {
  const found = new Map<string, Diagnostic>()
  for (const line of output.split('\n')) {
    const message = parseMessage(line)
    if (!message || !('message' in message) || found.size >= MOST) continue
    const { level, code, spans, message: text } = message.message
    const span = spans.find((each) => each.is_primary)
    if (!span && code === null) continue
    const diagnostic: Diagnostic = {
      path: span?.file_name ?? null,
      line: span?.line_start ?? null,
      column: span?.column_start ?? null,
      severity: level.startsWith('error') ? 'error' : level === 'warning' ? 'warning' : 'note',
      code: code?.code ?? null,
      message: text.slice(0, 500),
    }
    // The library and its tests are compiled from the same files.
    found.set(JSON.stringify(diagnostic), diagnostic)
  }
  return [...found.values()]
}

/** The program that was built, if it was exactly one. Pure. */
export function cargoProgram(output: string): string | null {
  const programs = new Set<string>()
  for (const line of output.split('\n')) {
    const message = parseMessage(line)
    if (message && 'executable' in message && message.executable !== null) programs.add(message.executable)
  }
  const [program] = programs
  return program !== undefined && programs.size === 1 ? shownPath(program) : null
}
