import { withoutHidden } from '../domain/hidden-text.ts'

/** A connector's server cannot be used as it is. The message is our own words; what the server said in it is plain. */
export class ConnectorFault extends Error {
  readonly code: 'unreachable' | 'unfit' | 'timeout' | 'lost' | 'refused'

  /**
   * `unreachable`: nothing was sent. `refused`: the server did not take the request. `lost`, `timeout`: it may have acted. `unfit`:
   * what it answers cannot be used.
   */
  constructor(code: ConnectorFault['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ConnectorFault'
    this.code = code
  }
}

/**
 * What a stranger said, on one line, without what steers a terminal or is not seen. Not cut: whoever shows it takes what is secret out
 * before, and a value that was cut in two is not found any more.
 */
export function said(text: unknown): string {
  return withoutHidden(String(text))
    .replace(/[\t\n]+/g, ' ')
    .trim()
    .toWellFormed()
}
