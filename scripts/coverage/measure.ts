/** Istanbul's format, as much of it as is read: by file, statements with how often they ran, and branches with how often each way was taken. */
export type CoverageMap = Record<string, FileCoverage>
export interface FileCoverage {
  statementMap: Record<string, { start: { line: number } }>
  s: Record<string, number>
  b: Record<string, number[]>
}

/** How many there are, and how many of them ran. */
export interface Share {
  total: number
  covered: number
}

export interface Measure {
  folder: string
  lines: Share
  branches: Share
}

/** Lines and branches of the files of each folder of `src`. A line counts as one that ran when any statement that begins in it did. */
export function measure(map: CoverageMap, root: string, folders: readonly string[]): Measure[] {
  return folders.map((folder) => {
    const files = Object.entries(map).filter(([path]) => path.startsWith(`${root}/src/${folder}/`))
    const found: Measure = { folder, lines: { total: 0, covered: 0 }, branches: { total: 0, covered: 0 } }
    for (const [, { statementMap, s, b }] of files) {
      const lines = new Map<number, number>()
      for (const [id, { start }] of Object.entries(statementMap))
        lines.set(start.line, Math.max(lines.get(start.line) ?? 0, s[id] ?? 0))
      add(found.lines, [...lines.values()])
      add(found.branches, Object.values(b).flat())
    }
    return found
  })
}

/** In percent, rounded down, so that 79.99 is not 80. A folder in which there is nothing to run has none. */
export function percent({ total, covered }: Share): number {
  return total === 0 ? 0 : Math.floor((covered / total) * 10_000) / 100
}

function add(share: Share, counts: readonly number[]): void {
  share.total += counts.length
  share.covered += counts.filter((count) => count > 0).length
}
