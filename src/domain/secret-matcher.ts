/** Chunks in, chunks out with what was looked for replaced. `found`: names seen so far. */
export interface SecretStream<Chunk> {
  push(chunk: Chunk): Chunk
  end(): Chunk
  readonly found: ReadonlySet<string>
}

interface Label {
  name: string
  replacement: string
}

interface Node {
  next: Map<number, Node>
  fail: Node | null
  /** How many characters up to here may be the beginning of a longer needle. */
  hold: number
  /** The longest needle that ends here, itself or by the failure links. */
  match: { length: number; label: Label } | null
}

/** A stretch to be replaced; the longest needle in it gives the label. */
interface Interval {
  start: number
  end: number
  length: number
  label: Label
}

/**
 * Aho-Corasick over all needles at once: one pass, whatever the number of secrets. Matches that overlap are replaced as one
 * stretch, so that no rest of a value is left standing. The automaton's state knows exactly how many characters a stream
 * has to hold back.
 */
export class SecretMatcher {
  readonly #root: Node = { next: new Map(), fail: null, hold: 0, match: null }

  constructor(needles: Map<string, Label>) {
    for (const [needle, label] of needles) {
      let node = this.#root
      for (let i = 0; i < needle.length; i++) {
        const code = needle.charCodeAt(i)
        let child = node.next.get(code)
        if (!child) {
          child = { next: new Map(), fail: this.#root, hold: i + 1, match: null }
          node.next.set(code, child)
        }
        node = child
      }
      if (node !== this.#root) node.match = { length: needle.length, label }
    }
    const queue = [...this.#root.next.values()]
    for (const node of queue) {
      if (node.next.size === 0) node.hold = node.fail?.hold ?? 0
      for (const [code, child] of node.next) {
        child.fail = step(node.fail ?? this.#root, code, this.#root)
        child.match ??= child.fail.match
        queue.push(child)
      }
    }
  }

  stream(): SecretStream<string> {
    const root = this.#root
    const found = new Set<string>()
    let state = root
    /** What was not given out yet, and the position of its first character in the whole text. */
    let held = ''
    let base = 0
    let intervals: Interval[] = []

    const release = (upTo: number): string => {
      let out = ''
      let position = base
      const kept: Interval[] = []
      for (const interval of intervals) {
        if (interval.end > upTo) {
          kept.push(interval)
          continue
        }
        out += held.slice(position - base, interval.start - base) + interval.label.replacement
        position = interval.end
      }
      intervals = kept
      const limit = Math.max(position, Math.min(upTo, kept[0]?.start ?? upTo))
      out += held.slice(position - base, limit - base)
      held = held.slice(limit - base)
      base = limit
      return out
    }

    return {
      found,
      push: (chunk) => {
        const offset = base + held.length
        held += chunk
        for (let i = 0; i < chunk.length; i++) {
          state = step(state, chunk.charCodeAt(i), root)
          if (!state.match) continue
          const { length, label } = state.match
          found.add(label.name)
          const end = offset + i + 1
          let merged: Interval = { start: end - length, end, length, label }
          for (let last = intervals.at(-1); last && last.end > merged.start; last = intervals.at(-1)) {
            intervals.pop()
            const longer = last.length > merged.length ? last : merged
            merged = { start: Math.min(last.start, merged.start), end, length: longer.length, label: longer.label }
          }
          intervals.push(merged)
        }
        return release(base + held.length - state.hold)
      },
      end: () => {
        state = root
        return release(base + held.length)
      },
    }
  }
}

function step(from: Node, code: number, root: Node): Node {
  let node: Node | null = from
  while (node) {
    const next = node.next.get(code)
    if (next) return next
    node = node.fail
  }
  return root
}
