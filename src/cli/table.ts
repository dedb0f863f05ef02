import { plainLine } from './terminal-text.ts'

/**
 * Rows in aligned columns under their titles, two spaces apart. Cells are made harmless and cut at `width` characters in all
 * (the last column gives way first); without a width nothing is cut.
 */
export function table(titles: readonly string[], rows: readonly (readonly string[])[], width = Number.POSITIVE_INFINITY): string {
  const cells = [titles, ...rows].map((row) => row.map((cell) => [...plainLine(cell)]))
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells
    .map((row) => {
      const line = row.flatMap((cell, column) =>
        column === titles.length - 1 ? cell : [...cell, ...' '.repeat((widths[column] ?? 0) - cell.length + 2)],
      )
      return (line.length > width ? [...line.slice(0, width - 1), '…'] : line).join('').trimEnd()
    })
    .join('\n')
}

/** Names and values, one pair a line, values aligned. */
export function fields(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${plainLine(value)}`).join('\n')
}
