import { INVOCATION_ENV } from '../wire.ts'

/** What every process that host starts gets. Nothing of host's own environment. */
export class Environment {
  readonly #base: Readonly<Record<string, string>>
  #secrets: Readonly<Record<string, string>> = {}

  constructor(base: Record<string, string>) {
    this.#base = { ...base }
  }

  /** Replaces the secrets. */
  configure(secrets: Record<string, string>): void {
    this.#secrets = { ...secrets }
  }

  /**
   * @param tag by which everything that is started can be found
   * @param secrets all of them, none, or those of these names
   */
  compose(tag: string, own: Record<string, string>, secrets: boolean | readonly string[]): Record<string, string> {
    return { ...this.#base, ...this.#chosen(secrets), ...own, [INVOCATION_ENV]: tag }
  }

  #chosen(secrets: boolean | readonly string[]): Readonly<Record<string, string>> {
    if (typeof secrets === 'boolean') return secrets ? this.#secrets : {}
    return Object.fromEntries(Object.entries(this.#secrets).filter(([name]) => secrets.includes(name)))
  }
}
