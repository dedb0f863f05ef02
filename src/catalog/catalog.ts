import type { Tool } from './define-tool.ts'

/** All tools of this server, by name. */
export interface Catalog {
  /** Sorted by name. */
  list(): Tool[]
  get(name: string): Tool | null
}
