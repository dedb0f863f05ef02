import { ToolError } from '../../domain/errors.ts'

/** Comparisons of one character that one pattern may cost over all names: a fraction of a second. */
const MOST_STEPS = 50_000_000

/**
 * Matches names against a pattern: `*` any characters within a component, `?` one, `**` as a component any components. A pattern
 * without a slash is matched against the last component too. Node's own matcher makes a regular expression of it, and a pattern
 * such as `*a*a*a*b` then takes for ever; this one compares, and counts.
 */
export class NamePattern {
  readonly #pattern: string
  readonly #components: string[]
  #steps = 0

  constructor(pattern: string) {
    this.#pattern = pattern
    this.#components = pattern.replace(/^(\.\/)+/, '').split('/')
  }

  /** @throws ToolError invalid_argument when the pattern has cost too much */
  matches(path: string): boolean {
    const names = path.split('/')
    if (this.#components.length === 1 && this.#component(this.#components[0] as string, names.at(-1) as string)) return true
    return this.#path(names)
  }

  /** Which numbers of leading names the components so far can stand for. */
  #path(names: string[]): boolean {
    let reached = new Set([0])
    for (const component of this.#components) {
      const next = new Set<number>()
      for (const at of reached) {
        if (component === '**') {
          for (let to = at; to <= names.length; to++) {
            this.#count()
            next.add(to)
          }
        } else if (at < names.length && this.#component(component, names[at] as string)) next.add(at + 1)
      }
      reached = next
    }
    return reached.has(names.length)
  }

  /** Goes back to the last star only, which is enough. */
  #component(pattern: string, name: string): boolean {
    let p = 0
    let n = 0
    let star = -1
    let resume = 0
    while (n < name.length) {
      this.#count()
      if (p < pattern.length && pattern[p] === '*') {
        star = p++
        resume = n
      } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
        p++
        n++
      } else if (star !== -1) {
        p = star + 1
        n = ++resume
      } else return false
    }
    while (pattern[p] === '*') p++
    return p === pattern.length
  }

  #count(): void {
    if (++this.#steps > MOST_STEPS)
      throw new ToolError(
        'invalid_argument',
        `the pattern ${JSON.stringify(this.#pattern)} takes too long: use fewer stars, or a path`,
      )
  }
}
