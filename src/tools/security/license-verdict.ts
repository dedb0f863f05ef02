import type { Dependency } from '../inventory/dependency-record.ts'
import { parseLicense, satisfies } from '../inventory/license-expression.ts'

export interface LicenseRules {
  /** Empty: all that are not denied. */
  allowed: string[]
  denied: string[]
}

export type LicenseVerdict = 'allowed' | 'denied' | 'not_allowed' | 'unknown'

/**
 * Of an expression with a choice, one allowed way is enough. What is no expression counts as it stands, as one name; what is not
 * declared at all is unknown. Pure.
 */
export function judgeLicense({ license }: Pick<Dependency, 'license'>, { allowed, denied }: LicenseRules): LicenseVerdict {
  if (license === null) return 'unknown'
  const isIn = (list: string[]) => (name: string) => list.some((each) => sameLicense(each, name))
  const expression = parseLicense(license) ?? { license }
  const isExpression = parseLicense(license) !== null
  if (!satisfies(expression, (name) => !isIn(denied)(name))) return 'denied'
  const accepts = (name: string) => !isIn(denied)(name) && (allowed.length === 0 || isIn(allowed)(name))
  if (satisfies(expression, accepts)) return isExpression || isIn(allowed)(license) ? 'allowed' : 'unknown'
  return isExpression ? 'not_allowed' : 'unknown'
}

/** Case does not count (SPDX). "GPL-3.0" in a list means all of GPL-3.0-only, GPL-3.0-or-later and GPL-3.0+, with exceptions too. */
function sameLicense(listed: string, name: string): boolean {
  const [a, b] = [listed.trim().toLowerCase(), name.toLowerCase()]
  if (a === b) return true
  const family = b.replace(/ with .*$/, '')
  return a === family || a === family.replace(/(?:-only|-or-later|\+)$/, '')
}
