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
 * has to hold back. A node is a number, 0 the root, and takes 22 bytes: secrets may be long, and are kept in many forms.
 */
export class SecretMatcher {
  readonly #needles: { length: number; label: Label }[] = []
  /** Children of the root, by character; 0: none. As long as the highest first character asks for. */
  #first = new Int32Array(256)
  /** The character that leads to a node. */
  readonly #code: Uint16Array
  /** First child and next sibling; 0: none. */
  readonly #child: Int32Array
  readonly #sibling: Int32Array
  /** The longest other beginning of a needle that ends in the same characters. */
  readonly #fail: Int32Array
  /** How many characters up to here may be the beginning of a longer needle. */
  readonly #hold: Int32Array
  /** The longest needle that ends here, itself or by the failure links; -1: none. */
  readonly #match: Int32Array
  #size = 1

  constructor(needles: Map<string, Label>) {
    let most = 1
    for (const needle of needles.keys()) most += needle.length
    this.#code = new Uint16Array(most)
    this.#child = new Int32Array(most)
    this.#sibling = new Int32Array(most)
    this.#fail = new Int32Array(most)
    this.#hold = new Int32Array(most)
    this.#match = new Int32Array(most).fill(-1)
    for (const [needle, label] of needles) this.#insert(needle, label)
    this.#link()
  }

  #insert(needle: string, label: Label): void {
    let node = 0
    for (let i = 0; i < needle.length; i++) {
      const code = needle.charCodeAt(i)
      const next = this.#next(node, code)
      node = next === 0 ? this.#grow(node, code, i + 1) : next
    }
    this.#match[node] = this.#needles.push({ length: needle.length, label }) - 1
  }

  #grow(parent: number, code: number, depth: number): number {
    const node = this.#size++
    this.#code[node] = code
    this.#hold[node] = depth
    if (parent === 0) this.#startWith(code, node)
    else {
      this.#sibling[node] = this.#child[parent] as number
      this.#child[parent] = node
    }
    return node
  }

  #startWith(code: number, node: number): void {
    if (code >= this.#first.length) {
      const longer = new Int32Array(65_536)
      longer.set(this.#first)
      this.#first = longer
    }
    this.#first[code] = node
  }

  /** Failure links, breadth first. */
  #link(): void {
    const queue = new Int32Array(this.#size)
    let end = 0
    for (const node of this.#first) if (node !== 0) queue[end++] = node
    for (let at = 0; at < end; at++) {
      const node = queue[at] as number
      const fail = this.#fail[node] as number
      if (this.#child[node] === 0) this.#hold[node] = this.#hold[fail] as number
      for (let child = this.#child[node] as number; child !== 0; child = this.#sibling[child] as number) {
        const link = this.#step(fail, this.#code[child] as number)
        this.#fail[child] = link
        if (this.#match[child] === -1) this.#match[child] = this.#match[link] as number
        queue[end++] = child
      }
    }
  }

  /** The child by this character; 0: none. */
  #next(node: number, code: number): number {
    if (node === 0) return this.#first[code] ?? 0
    let child = this.#child[node] as number
    while (child !== 0 && this.#code[child] !== code) child = this.#sibling[child] as number
    return child
  }

  #step(from: number, code: number): number {
    for (let node = from; ; node = this.#fail[node] as number) {
      const next = this.#next(node, code)
      if (next !== 0 || node === 0) return next
    }
  }

  stream(): SecretStream<string> {
    const first = this.#first
    const found = new Set<string>()
    let state = 0
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
          const code = chunk.charCodeAt(i)
          // Most characters begin nothing.
          if (state === 0 && first[code] === 0) continue
          state = this.#step(state, code)
          if (state === 0) continue
          const needle = this.#needles[this.#match[state] as number]
          if (!needle) continue
          const { length, label } = needle
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
        return release(base + held.length - (this.#hold[state] as number))
      },
      end: () => {
        state = 0
        return release(base + held.length)
      },
    }
  }
}
