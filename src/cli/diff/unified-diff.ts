/** Lines of unchanged text around a change. */
const CONTEXT = 3
/** Differing lines after which the search for the shortest difference is given up: all old lines go, all new ones come. */
const LIMIT = 500

type Edit = readonly [kind: ' ' | '-' | '+', line: string]

/**
 * What turns one text into the other, as the hunks of a unified diff: `@@ -1,3 +1,4 @@`, then lines that begin with a space, `-` or
 * `+`. A line keeps a carriage return at its end; text that does not end with a line end says so, as diff does. Equal texts: none.
 */
export function unifiedDiff(before: string, after: string): string[] {
  const edits = editsOf(linesOf(before), linesOf(after))
  const changed = edits.flatMap(([kind], at) => (kind === ' ' ? [] : [at]))
  const hunks: string[] = []
  let oldLine = 1
  let newLine = 1
  let done = 0
  for (let at = 0; at < changed.length; ) {
    let last = changed[at] as number
    const start = Math.max(done, last - CONTEXT)
    while (at < changed.length && (changed[at] as number) <= last + 2 * CONTEXT) last = changed[at++] as number
    const hunk = edits.slice(start, last + 1 + CONTEXT)
    const skipped = start - done
    const olds = hunk.filter(([kind]) => kind !== '+').length
    const news = hunk.filter(([kind]) => kind !== '-').length
    hunks.push(`@@ -${range(oldLine + skipped, olds)} +${range(newLine + skipped, news)} @@`)
    for (const [kind, line] of hunk) {
      hunks.push(kind + line.replace(/\n$/, ''))
      if (!line.endsWith('\n')) hunks.push('\\ No newline at end of file')
    }
    oldLine += skipped + olds
    newLine += skipped + news
    done = start + hunk.length
  }
  return hunks
}

function range(start: number, count: number): string {
  // Of no lines the number is that of the line before.
  return `${count === 0 ? start - 1 : start}${count === 1 ? '' : `,${count}`}`
}

function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

function editsOf(before: readonly string[], after: readonly string[]): Edit[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (
    end < before.length - start &&
    end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  )
    end++
  const olds = before.slice(start, before.length - end)
  const news = after.slice(start, after.length - end)
  const middle: Edit[] = shortest(olds, news) ?? [
    ...olds.map((line): Edit => ['-', line]),
    ...news.map((line): Edit => ['+', line]),
  ]
  const same = (line: string): Edit => [' ', line]
  return [...before.slice(0, start).map(same), ...middle, ...before.slice(before.length - end).map(same)]
}

/** Myers, "An O(ND) Difference Algorithm and Its Variations" (1986). Null: more than LIMIT lines differ. */
function shortest(olds: readonly string[], news: readonly string[]): Edit[] | null {
  const trace: Map<number, number>[] = []
  let reach = new Map([[1, 0]])
  for (let d = 0; d <= LIMIT; d++) {
    trace.push(reach)
    const next = new Map(reach)
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && at(reach, k - 1) < at(reach, k + 1))
      let x = down ? at(reach, k + 1) : at(reach, k - 1) + 1
      while (x < olds.length && x - k < news.length && olds[x] === news[x - k]) x++
      next.set(k, x)
      if (x >= olds.length && x - k >= news.length) return walkBack(trace, olds, news)
    }
    reach = next
  }
  return null
}

function at(reach: ReadonlyMap<number, number>, k: number): number {
  return reach.get(k) ?? -1
}

function walkBack(trace: readonly Map<number, number>[], olds: readonly string[], news: readonly string[]): Edit[] {
  const edits: Edit[] = []
  let x = olds.length
  let y = news.length
  for (let d = trace.length - 1; d >= 0; d--) {
    const reach = trace[d] as Map<number, number>
    const k = x - y
    const down = k === -d || (k !== d && at(reach, k - 1) < at(reach, k + 1))
    const from = d === 0 ? 0 : at(reach, down ? k + 1 : k - 1)
    // Where the unchanged lines after the edit begin.
    const same = d === 0 || down ? from : from + 1
    while (x > same) {
      edits.push([' ', olds[--x] as string])
      y--
    }
    if (d === 0) break
    if (down) edits.push(['+', news[--y] as string])
    else edits.push(['-', olds[--x] as string])
  }
  return edits.reverse()
}
