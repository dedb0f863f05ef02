import type { Catalog } from './catalog.ts'
import type { Tool } from './define-tool.ts'
import { makeCatalog } from './load-catalog.ts'

/** The tools of this server: its own, which stay, and those of connectors, which are replaced as a whole. */
export class LiveCatalog implements Catalog {
  readonly #own: Catalog
  #all: Catalog

  constructor(own: Catalog) {
    this.#own = own
    this.#all = own
  }

  /** @throws Error for a name that is taken */
  replaceConnectors(tools: readonly Tool[]): void {
    this.#all = makeCatalog([...this.#own.list(), ...tools])
  }

  list(): Tool[] {
    return this.#all.list()
  }

  get(name: string): Tool | null {
    return this.#all.get(name)
  }
}
