import { z } from 'zod'
import { actorOf, principalKey } from '../domain/principal.ts'
import { type ApprovalDemand, durationSeconds, parseApprovers } from './approval-demand.ts'
import { type CalledPaths, calledPaths } from './called-paths.ts'
import type { PolicyRequest } from './policy-engine.ts'
import type { PolicyVerdict } from './policy-verdict.ts'

/** Bytes of an answer. */
const LARGEST = 256 * 1024

export interface OpaOptions {
  /** Of the rule in the data API, such as `http://127.0.0.1:8181/v1/data/cloister/decision`. */
  url: string
  /** From the request to the last byte of the answer, in ms. */
  timeoutMs: number
  fetch?: typeof fetch
}

const answer = z.object({
  result: z
    .union([
      z.boolean(),
      z.object({
        allow: z.boolean(),
        reason: z.string().max(2000).optional(),
        policies: z.array(z.string().max(200)).max(100).default([]),
        approval: z
          .object({ required: z.boolean(), approvers: z.array(z.string()).optional(), ttl: z.string().optional() })
          .optional(),
      }),
    ])
    .optional(),
})

/** Asks a server that speaks OPA's data API. Whatever goes wrong is a denial. */
export class OpaPolicy {
  readonly #options: OpaOptions

  constructor(options: OpaOptions) {
    this.#options = options
  }

  get url(): string {
    return this.#options.url
  }

  async decide(request: PolicyRequest): Promise<PolicyVerdict> {
    const { unseen = [] } = request
    // What its rules look at is not known here.
    if (unseen.length > 0)
      return denied(`the policy server was not asked: it could not be shown ${unseen.join(' and ')} of a body this large`)
    let input: OpaInput
    try {
      input = opaInput(request)
    } catch (error) {
      return denied(`the policy server was not asked: ${error instanceof Error ? error.message : 'the call cannot be described'}`)
    }
    try {
      return verdictOf(await this.#ask(input))
    } catch (error) {
      return denied(`the policy server gave no decision: ${describe(error)}`)
    }
  }

  async #ask(input: OpaInput): Promise<unknown> {
    const { url, timeoutMs, fetch: send = fetch } = this.#options
    const response = await send(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ input }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new NoDecision(`it answered with status ${response.status}`)
    }
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength
      if (size > LARGEST) throw new NoDecision(`its answer is larger than ${LARGEST} bytes`)
      chunks.push(chunk)
    }
    try {
      return JSON.parse(Buffer.concat(chunks).toString('utf8'))
    } catch {
      throw new NoDecision('its answer is not JSON')
    }
  }
}

/** What a rule gets as `input`. Documented in docs/policy.md: members are added, never changed. */
export interface OpaInput {
  principal: { id: string; tenant: string; actor: string; roles: string[] }
  caller: { kind: string; id: string }
  session: {
    id: string
    owner: { tenant: string; actor: string }
    network: string
    allowed_paths: string[]
    metadata: Record<string, string>
    repo_url: string | null
  }
  tool: {
    name: string
    family: string
    scope: string
    risk: string
    side_effects: string
    requires_approval: boolean
    needs_network: boolean
    whole_repository: boolean
  }
  args: Record<string, unknown>
  paths: CalledPaths
  network: string
  needs_approval: boolean
}

export function opaInput({ caller, session, tool, args, approval_reason }: PolicyRequest): OpaInput {
  const { tenant_id, actor_id, roles } = session.principal
  return {
    principal: { id: principalKey(session.principal), tenant: tenant_id, actor: actor_id, roles },
    caller: actorOf(caller),
    session: {
      id: session.id,
      owner: { tenant: session.owner.tenant_id, actor: session.owner.actor_id },
      network: session.network,
      allowed_paths: session.allowed_paths,
      metadata: session.metadata,
      repo_url: session.repo_url,
    },
    tool: {
      name: tool.name,
      family: tool.family,
      scope: tool.scope,
      risk: tool.risk_level,
      side_effects: tool.side_effects,
      requires_approval: tool.requires_approval,
      needs_network: tool.policy.needs_network,
      whole_repository: tool.policy.whole_repository,
    },
    args,
    paths: calledPaths(tool, args),
    network: session.network,
    needs_approval: tool.requires_approval || approval_reason !== null,
  }
}

class NoDecision extends Error {}

function verdictOf(body: unknown): PolicyVerdict {
  const parsed = answer.safeParse(body)
  if (!parsed.success) throw new NoDecision('its answer does not have the form of a decision')
  const { result } = parsed.data
  if (result === undefined) throw new NoDecision('the rule is undefined for this call')
  if (result === false) return denied('the policy server refuses it')
  if (result === true) return { effect: 'allow', reason: null, policies: [], demands: [] }
  if (!result.allow) return { ...denied(result.reason ?? 'the policy server refuses it'), policies: result.policies }
  const demands = result.approval?.required ? [demandOf(result.approval)] : []
  return { effect: 'allow', reason: result.reason ?? null, policies: result.policies, demands }
}

function demandOf({ approvers, ttl }: { approvers?: string[] | undefined; ttl?: string | undefined }): ApprovalDemand {
  const seconds = ttl === undefined ? null : durationSeconds(ttl)
  if (ttl !== undefined && seconds === null) throw new NoDecision('approval.ttl is not a time such as "1h"')
  return { approvers: approvers === undefined ? null : approversOf(approvers), ttl_seconds: seconds }
}

function approversOf(entries: string[]): string[] {
  try {
    return parseApprovers(entries.join(','))
  } catch (error) {
    throw new NoDecision(`approval.approvers: ${(error as Error).message}`)
  }
}

function denied(reason: string) {
  return { effect: 'deny' as const, reason, policies: [] as string[] }
}

/** Not what fetch says: that names addresses. */
function describe(error: unknown): string {
  if (error instanceof NoDecision) return error.message
  if (error instanceof Error && error.name === 'TimeoutError') return 'it did not answer in time'
  return 'it could not be reached'
}
