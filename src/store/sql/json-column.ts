import { errors } from '../../domain/errors.ts'

/** The type's own JSON text. What is undefined is left out. */
export function toJson(value: object): string {
  return JSON.stringify(value)
}

/**
 * Reads a JSON column that holds an object. The types inside are trusted: only this program writes them.
 * @param where names the row and column, for whoever has to mend it
 * @throws CloisterError `internal` if the text is not a JSON object
 */
export function objectFromJson<T extends object>(text: string, where: string): T {
  const value = parse(text, where)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw damaged(where)
  return value as T
}

/** @throws CloisterError `internal` if the text is not a JSON array */
export function arrayFromJson<T>(text: string, where: string): T[] {
  const value = parse(text, where)
  if (!Array.isArray(value)) throw damaged(where)
  return value as T[]
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw damaged(where, cause)
  }
}

function damaged(where: string, cause?: unknown) {
  return errors.internal(`the database holds something unreadable in ${where}: it was changed from outside or is damaged`, cause)
}
