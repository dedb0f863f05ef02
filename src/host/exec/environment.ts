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

  /** @param tag by which everything that is started can be found */
  compose(tag: string, own: Record<string, string>, withSecrets: boolean): Record<string, string> {
    return { ...this.#base, ...(withSecrets ? this.#secrets : {}), ...own, [INVOCATION_ENV]: tag }
  }
}
