/** Names that every provider accepts: letters, digits, `_` and `-`, at most 64. */
const UNFIT = /[^a-zA-Z0-9_-]/g
const MAX_LENGTH = 64

/**
 * Canonical tool names have a dot, which providers refuse. Names come back by this table, not by turning `_` into `.` again:
 * `repo.run_tests` would become `repo.run.tests`. Names that would meet get a number.
 */
export class ToolNames {
  readonly #toModel = new Map<string, string>()
  readonly #fromModel = new Map<string, string>()

  constructor(canonicalNames: readonly string[]) {
    for (const name of [...canonicalNames].sort()) {
      const base = name.replace(UNFIT, '_').slice(0, MAX_LENGTH)
      let given = base
      for (let n = 2; this.#fromModel.has(given); n++) given = `${base.slice(0, MAX_LENGTH - 4)}_${n}`
      this.#toModel.set(name, given)
      this.#fromModel.set(given, name)
    }
  }

  /** Also for a name that is not in the table (a tool that is hidden since): the history still needs a name that providers accept. */
  toModel(canonical: string): string {
    return this.#toModel.get(canonical) ?? (canonical.replace(UNFIT, '_').slice(0, MAX_LENGTH) || 'unknown')
  }

  /** Null: there is no such tool. */
  fromModel(name: string): string | null {
    return this.#fromModel.get(name) ?? null
  }
}
