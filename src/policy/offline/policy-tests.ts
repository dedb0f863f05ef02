import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { approverEntryProblem, DEFAULT_APPROVERS } from '../../domain/approvers.ts'
import { type Caller, TOOL_ROLES } from '../../domain/principal.ts'
import type { Session } from '../../domain/session.ts'
import { durationSeconds } from '../approval-demand.ts'
import { PolicySetError } from '../cedar/policy-files.ts'
import type { Decision } from '../policy-engine.ts'
import type { OfflineDecider } from './offline-decider.ts'
import { offlineSession } from './offline-session.ts'

const SUFFIX = '.test.json'
const principal = z.string().regex(/^[^/\s]+\/[^\s]+$/, 'TENANT/ACTOR')

const situation = z.strictObject({
  /** Who the session acts as, and who owns it unless `owner` says otherwise. */
  principal: principal.optional(),
  owner: principal.optional(),
  roles: z.array(z.enum(TOOL_ROLES)).optional(),
  network: z.enum(['none', 'host']).optional(),
  allowed_paths: z.array(z.string()).optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  repo_url: z.string().optional(),
  tools: z.strictObject({ allow: z.array(z.string()).default([]), deny: z.array(z.string()).default([]) }).optional(),
  /** Patterns that the owner approved when the session was created. */
  auto_approve: z.array(z.string()).optional(),
  /** Who calls. Default: the session's agent. */
  caller: z.enum(['agent', 'mcp', 'owner']).optional(),
})

/** A misspelt one could never be what policies demand, or would be taken for no time at all. */
const approver = z.string().superRefine((entry, context) => {
  const problem = approverEntryProblem(entry)
  if (problem !== null) context.addIssue(problem)
})
const duration = z.string().refine((text) => durationSeconds(text) !== null, 'a time such as "15m", "1h" or "2d", at most a year')

const expectation = z.strictObject({
  effect: z.enum(['allow', 'deny', 'require_approval', 'standing_approval']),
  rule: z.string().optional(),
  /** All that determined it, in any order. */
  policies: z.array(z.string()).optional(),
  approvers: z.array(z.array(approver).min(1)).min(1).optional(),
  ttl: duration.optional(),
  /** A part of the reason. */
  reason: z.string().optional(),
})

const testFile = z.strictObject({
  description: z.string().optional(),
  /** For all cases; a case adds to it. */
  session: situation.optional(),
  cases: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        session: situation.optional(),
        tool: z.string(),
        args: z.record(z.string(), z.unknown()).default({}),
        // Alone, an effect. No union: what is wrong with an object is to be told.
        expect: z.preprocess((value) => (typeof value === 'string' ? { effect: value } : value), expectation),
      }),
    )
    .min(1),
})

type Situation = z.output<typeof situation>
type Expectation = z.output<typeof expectation>
export type PolicyTestFile = z.output<typeof testFile> & { file: string }

export interface PolicyTestResult {
  file: string
  name: string
  passed: boolean
  /** What was decided; null when policy would not be asked at all. */
  decision: { effect: string; rule: string; reason: string; policies: string[] } | null
  /** Why it did not pass. */
  problems: string[]
}

/**
 * The `*.test.json` files of a folder, by name.
 * @throws PolicySetError when there are none, or one cannot be read
 */
export function readPolicyTests(folder: string): PolicyTestFile[] {
  const refuse = (file: string | null, reason: string) => new PolicySetError([{ file, line: null, reason }])
  let names: string[]
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(SUFFIX))
  } catch (error) {
    throw refuse(null, `the folder ${folder} cannot be read: ${(error as Error).message}`)
  }
  if (names.length === 0) throw refuse(null, `the folder ${folder} holds no *${SUFFIX} file`)
  return names.sort().map((file) => {
    let value: unknown
    try {
      value = JSON.parse(readFileSync(join(folder, file), 'utf8'))
    } catch (error) {
      throw refuse(file, `it cannot be read: ${(error as Error).message}`)
    }
    const parsed = testFile.safeParse(value)
    if (parsed.success) return { ...parsed.data, file }
    throw refuse(file, parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '))
  })
}

export async function runPolicyTests(decider: OfflineDecider, files: readonly PolicyTestFile[]): Promise<PolicyTestResult[]> {
  const results: PolicyTestResult[] = []
  for (const { file, session: common = {}, cases } of files) {
    for (const { name, session: own = {}, tool, args, expect } of cases) {
      const where = { ...common, ...own }
      const session = sessionOf(where)
      const answer = await decider.decide({ caller: callerOf(where, session), session, tool_name: tool, args })
      if ('problem' in answer) {
        results.push({ file, name, passed: false, decision: null, problems: [answer.problem] })
        continue
      }
      const { effect, rule, reason, policies = [] } = answer.decision
      const problems = differences(answer.decision, expect)
      results.push({ file, name, passed: problems.length === 0, decision: { effect, rule, reason, policies }, problems })
    }
  }
  return results
}

function sessionOf(where: Situation): Session {
  const acting = named(where.principal ?? 'default/alice')
  const owner = where.owner === undefined ? acting : named(where.owner)
  return offlineSession({
    id: 'ses_test',
    owner,
    principal: { ...acting, roles: where.roles ?? ['developer'] },
    allowed_paths: where.allowed_paths ?? ['.'],
    metadata: where.metadata ?? {},
    repo_url: where.repo_url ?? null,
    tools: where.tools ?? { allow: [], deny: [] },
    auto_approve: (where.auto_approve ?? []).map((pattern) => ({ pattern, by: { ...owner, admin: false } })),
    network: where.network ?? 'none',
  })
}

function callerOf({ caller = 'agent' }: Situation, session: Session): Caller {
  const { tenant_id, actor_id } = session.owner
  return caller === 'owner'
    ? { kind: 'user', tenant_id, actor_id, admin: false, tool_roles: session.principal.roles }
    : { kind: caller, tenant_id, actor_id, session_id: session.id }
}

function named(key: string): { tenant_id: string; actor_id: string } {
  const slash = key.indexOf('/')
  return { tenant_id: key.slice(0, slash), actor_id: key.slice(slash + 1) }
}

function differences(decision: Decision, expected: Expectation): string[] {
  const problems: string[] = []
  const compare = (what: string, is: unknown, should: unknown) => {
    if (should !== undefined && JSON.stringify(is) !== JSON.stringify(should))
      problems.push(`${what} is ${JSON.stringify(is)}, expected ${JSON.stringify(should)}`)
  }
  compare('effect', decision.effect, expected.effect)
  compare('rule', decision.rule, expected.rule)
  compare('policies', [...(decision.policies ?? [])].sort(), expected.policies && [...expected.policies].sort())
  const approval = decision.effect === 'require_approval' || decision.effect === 'standing_approval'
  compare('approvers', approval ? (decision.approvers ?? DEFAULT_APPROVERS) : null, expected.approvers)
  if (expected.ttl !== undefined) {
    const ttl = decision.effect === 'require_approval' ? (decision.ttl_seconds ?? null) : null
    compare('ttl in seconds', ttl, durationSeconds(expected.ttl))
  }
  if (expected.reason !== undefined && !decision.reason.includes(expected.reason))
    problems.push(`reason is ${JSON.stringify(decision.reason)}, expected it to hold ${JSON.stringify(expected.reason)}`)
  // What would help to mend it.
  return problems.length === 0 || expected.reason !== undefined ? problems : [...problems, `reason: ${decision.reason}`]
}
