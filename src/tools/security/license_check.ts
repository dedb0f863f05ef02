import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ECOSYSTEMS } from '../inventory/dependency-record.ts'
import { inventoryPath, LOCKFILES, mostDependencies } from '../inventory/inventory-arguments.ts'
import { takeInventory } from '../inventory/take-inventory.ts'
import { judgeLicense } from './license-verdict.ts'

const licenses = (description: string) => z.array(z.string().min(1).max(100)).max(200).default([]).describe(description)

export default defineTool({
  name: 'security.license_check',
  description: `Checks the licences of what a project depends on against lists: ${LOCKFILES} in one directory. A licence that is denied, or not
among those that are allowed (if that list is not empty), is a violation; of "MIT OR GPL-3.0" one allowed half is enough. Licences that are
not known warn, or fail with unknown_policy deny. A check that fails is an answer: the call succeeds with status fail and exit code 1.
It goes by what packages declare, and reads no licence texts.`,
  input: z.object({
    path: inventoryPath(),
    max_dependencies: mostDependencies(),
    allowed_licenses: licenses('SPDX identifiers; empty: all that are not denied. "GPL-3.0" means -only and -or-later too.'),
    denied_licenses: licenses('SPDX identifiers that must not occur.'),
    unknown_policy: z.enum(['warn', 'deny']).default('warn').describe('What a licence that is not known does.'),
  }),
  output: z.object({
    status: z.enum(['pass', 'warn', 'fail']),
    counts: z.object({ dependencies: z.int(), allowed: z.int(), violations: z.int(), unknown: z.int() }),
    violations: z.array(
      z.object({
        name: z.string(),
        version: z.string().nullable(),
        ecosystem: z.enum(ECOSYSTEMS),
        license: z.string().nullable(),
        reason: z.enum(['denied', 'not_allowed', 'unknown']),
      }),
    ),
    unknown: z.array(z.string()).describe('Names of those whose licence is not known, at most 200.'),
    truncated: z.boolean().describe('There are more dependencies than were looked at.'),
    exit_code: z.int(),
    summary: z.string(),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  primary_output: 'summary',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'No strong copyleft', args: { denied_licenses: ['GPL-2.0', 'GPL-3.0', 'AGPL-3.0'] } }],
  async handler({ path, max_dependencies, allowed_licenses, denied_licenses, unknown_policy }, context) {
    const { dependencies, truncated } = await takeInventory(path, max_dependencies, context)
    const rules = { allowed: allowed_licenses, denied: denied_licenses }
    const judged = dependencies.map((each) => ({ ...each, verdict: judgeLicense(each, rules) }))
    const unknown = judged.filter(({ verdict }) => verdict === 'unknown')
    const violations = judged.flatMap(({ verdict, ...each }) =>
      verdict === 'allowed' || (verdict === 'unknown' && unknown_policy === 'warn') ? [] : [{ ...each, reason: verdict }],
    )
    // What was not looked at is as unknown as what has no licence.
    const open = unknown.length > 0 || truncated
    const status: 'pass' | 'warn' | 'fail' =
      violations.length > 0 || (truncated && unknown_policy === 'deny') ? 'fail' : open ? 'warn' : 'pass'
    const exit_code = status === 'fail' ? 1 : 0
    const allowed = judged.filter(({ verdict }) => verdict === 'allowed').length
    return {
      output: {
        status,
        counts: { dependencies: judged.length, allowed, violations: violations.length, unknown: unknown.length },
        violations,
        unknown: unknown.slice(0, 200).map(({ name }) => name),
        truncated,
        exit_code,
        summary: `${status}: ${judged.length} dependencies, ${violations.length} violations, ${unknown.length} with a licence that is not known${truncated ? '; there are more than were looked at' : ''}`,
      },
      exit_code,
      truncated,
    }
  },
})
