import type { Part } from '../output.ts'

/** A unified diff in colour, line by line. A carriage return at the end of a line is shown, or two lines would look alike. */
export function diffParts(lines: readonly string[]): Part[][] {
  return lines.map((line): Part[] => {
    if (/^(\+\+\+|---|diff |index |new file|deleted file|rename |similarity )/.test(line)) return [[line, 'bold']]
    if (line.startsWith('@@')) return [[line, 'cyan']]
    if (line.startsWith('+')) return [[line, 'green']]
    if (line.startsWith('-')) return [[line, 'red']]
    return [[line]]
  })
}
