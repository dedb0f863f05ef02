import { ESCAPE_SIGNS, type Escape, readEscapes } from './character-escapes.ts'

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

/** The beginning of a needle, `depth` characters of it, read with at least one escape from `start` up to `at` in the text. */
interface Reading {
  start: number
  at: number
  node: number
  depth: number
}

/** Values of `#loud`, of each character below 256: may begin a needle; may begin an escape (and perhaps a needle). */
const FIRST = 1
const SIGN = 2

/**
 * Readings followed at the same time; those that began first stay. Common values have one, seldom two. What has more is a value
 * that begins with many repetitions of itself, written in escapes: of 40 letters `a` the first 32 beginnings are followed.
 */
const MOST_READINGS = 32

const NO_ESCAPES: readonly Escape[] = []

/**
 * Finds needles as they are, and with any of their characters escaped, each in its own way (character-escapes.ts).
 *
 * As they are: Aho-Corasick over all of them at once, one pass, whatever the number of secrets. Where an escape stands, the beginnings
 * of needles that the automaton has seen up to there go on as readings of their own: plain walks down the same tree by what
 * the text means. So text without escapes costs what the automaton costs, and a value that itself looks like an escape is found too.
 *
 * Matches that overlap are replaced as one stretch, so that no rest of a value is left standing. A stream knows exactly from where on
 * it has to hold back. A node is a number, 0 the root, and takes 22 bytes: secrets may be long, and are kept in several forms.
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
  readonly #loud = new Uint8Array(256)
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
    for (let code = 0; code < 256; code++) if (this.#first[code] !== 0) this.#loud[code] = FIRST
    if (needles.size > 0) for (const sign of ESCAPE_SIGNS) this.#loud[sign.charCodeAt(0)] = SIGN
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

  #begins(escapes: readonly Escape[]): boolean {
    for (const { codes } of escapes) if (this.#next(0, codes.charCodeAt(0)) !== 0) return true
    return false
  }

  /** Where a needle's beginning gets to by all of these characters; 0: nowhere. */
  #follow(from: number, codes: string): number {
    let node = from
    for (let i = 0; i < codes.length; i++) {
      node = this.#next(node, codes.charCodeAt(i))
      if (node === 0) return 0
    }
    return node
  }

  /** The needle that is the whole way from the root to this node, which is as long as `depth`. */
  #whole(node: number, depth: number): { length: number; label: Label } | undefined {
    const needle = this.#needles[this.#match[node] as number]
    return needle?.length === depth ? needle : undefined
  }

  /** What of the readings is left after the character at `at`, with those that begin by an escape there. */
  #advance(readings: Reading[], at: number, code: number, state: number, escapes: readonly Escape[]): Reading[] {
    const after: Reading[] = []
    const add = (start: number, end: number, node: number, depth: number) => {
      if (node === 0) return
      const same = after.find((other) => other.node === node && other.at === end)
      if (same) same.start = Math.min(same.start, start)
      else if (after.length < MOST_READINGS) after.push({ start, at: end, node, depth })
    }
    for (const { start, at: here, node, depth } of readings) {
      if (here > at) {
        add(start, here, node, depth)
        continue
      }
      add(start, at + 1, this.#next(node, code), depth + 1)
      for (const { length, codes } of escapes) add(start, at + length, this.#follow(node, codes), depth + codes.length)
    }
    if (escapes.length === 0) return after
    // Every beginning that the plain text has here may go on by the escape, the longest first; the root is the empty one.
    for (let node = state, tried = 0; tried <= MOST_READINGS; node = this.#fail[node] as number, tried++) {
      const depth = this.#hold[node] as number
      for (const { length, codes } of escapes) add(at - depth, at + length, this.#follow(node, codes), depth + codes.length)
      if (node === 0) break
    }
    return after
  }

  stream(): SecretStream<string> {
    const loud = this.#loud
    const first = this.#first
    const found = new Set<string>()
    /** How far the text has been read, and what of it, as it stands, is the beginning of a needle. */
    let at = 0
    let state = 0
    let readings: Reading[] = []
    /** What was not given out yet, and the position of its first character in the whole text. */
    let held = ''
    let base = 0
    let intervals: Interval[] = []

    const report = (start: number, end: number, { length, label }: { length: number; label: Label }) => {
      found.add(label.name)
      let merged: Interval = { start, end, length, label }
      for (let last = intervals.at(-1); last && last.end > merged.start; last = intervals.at(-1)) {
        intervals.pop()
        const longer = last.length > merged.length ? last : merged
        merged = { start: Math.min(last.start, merged.start), end, length: longer.length, label: longer.label }
      }
      intervals.push(merged)
    }

    /** Reads as far as the meaning of the text is known. */
    const read = (ended: boolean): void => {
      // Most characters begin nothing: what is looked at for each of them is a local of this function.
      const text = held
      const length = text.length
      let i = at - base
      let node = state
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        const kind = code < 256 ? loud[code] : first[code]
        if (node === 0 && !kind && readings.length === 0) continue
        const escapes = kind === SIGN && code < 256 ? readEscapes(text, i, ended) : NO_ESCAPES
        if (escapes === null) break
        if (readings.length > 0 || (escapes.length > 0 && (node !== 0 || this.#begins(escapes)))) {
          readings = this.#advance(readings, base + i, code, node, escapes)
          for (const reading of readings) {
            const needle = reading.at === base + i + 1 ? this.#whole(reading.node, reading.depth) : undefined
            if (needle) report(reading.start, reading.at, needle)
          }
        }
        node = this.#step(node, code)
        if (node === 0) continue
        const needle = this.#needles[this.#match[node] as number]
        if (needle) report(base + i + 1 - needle.length, base + i + 1, needle)
      }
      at = base + i
      state = node
    }

    /** From here on, characters may belong to a needle that is not whole yet. */
    const undecided = (): number => {
      let from = at - (this.#hold[state] as number)
      // At the end of the longest needles nothing goes on.
      for (const { start, at: here, node } of readings) if (here > at || this.#child[node] !== 0) from = Math.min(from, start)
      return from
    }

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
        held += chunk
        read(false)
        return release(undecided())
      },
      end: () => {
        read(true)
        state = 0
        readings = []
        return release(at)
      },
    }
  }
}
