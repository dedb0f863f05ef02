/** How each tool prints the share of statements (or lines) that ran, over everything. */
const TOTALS: RegExp[] = [
  /^total:\s+\(statements\)\s+(\d+(?:\.\d+)?)%$/,
  /^All files\s*\|\s*(\d+(?:\.\d+)?)/,
  /^(?:# |ℹ )?all files\s*\|\s*(\d+(?:\.\d+)?)/,
  /^TOTAL\s[\s\d]*?(\d+(?:\.\d+)?)%$/,
]

/** Characters. A longer line is no line of such a table, and patterns need not be tried on it. */
const LONGEST_LINE = 500

/**
 * The total coverage that a runner printed: `go tool cover -func`, istanbul (jest, vitest, c8), node:test, coverage.py and
 * pytest-cov. The last one counts. Null: none was printed. Pure.
 */
export function coveragePercent(output: string): number | null {
  let last: number | null = null
  for (const line of output.split('\n')) {
    if (line.length > LONGEST_LINE || !/total|all files/i.test(line)) continue
    for (const pattern of TOTALS) {
      const percent = Number(pattern.exec(line)?.[1] ?? 'NaN')
      if (percent >= 0 && percent <= 100) last = percent
    }
  }
  return last
}
