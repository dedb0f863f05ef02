/** Values shorter than this are accepted as secrets and not redacted: they would match everywhere. */
export const MIN_REDACTED_LENGTH = 6

/** Replaces secret values by `[secret:NAME]` in whatever leaves. Pure; one per session. */
export interface Redactor {
  text(text: string): string
  /** Every string (keys too) of a JSON value. */
  value<T>(value: T): T
  /** Names of the secrets whose value, or whose placeholder, stands in this JSON value. Empty: none. */
  find(value: unknown): string[]
  /** For a stream of text chunks: holds back what may be the beginning of a secret. `end` gives the rest. */
  stream(): { push(chunk: string): string; end(): string }
}
