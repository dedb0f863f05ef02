import { errors } from '../domain/errors.ts'

export const PAGE_LIMIT = 200

/** @throws CloisterError `invalid_argument` unless the limit is a whole number from 1 to 200 */
export function checkPageLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_LIMIT)
    throw errors.invalidArgument(`a page holds 1 to ${PAGE_LIMIT} entries`, [
      { path: 'limit', reason: `must be 1 to ${PAGE_LIMIT}` },
    ])
}
