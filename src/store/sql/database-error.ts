/**
 * A row that the schema does not admit. Dialects throw it in place of their own errors, so that repositories need not know which
 * database they speak to. Everything else a dialect throws is `store_unavailable` (the database cannot work now) or a defect.
 */
export class ConstraintError extends Error {
  readonly constraint: 'unique' | 'foreign_key' | 'other'

  constructor(constraint: ConstraintError['constraint'], cause: unknown) {
    super(`${constraint} constraint failed`, { cause })
    this.name = 'ConstraintError'
    this.constraint = constraint
  }
}
