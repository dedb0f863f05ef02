import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Session } from '../../domain/session.ts'
import type { ToolMetadata } from '../../domain/tool.ts'
import { cedarRequest } from './cedar-request.ts'
import type { CedarSchema } from './cedar-schema.ts'
import { PreparsedSet } from './preparsed-set.ts'

/**
 * What policies say before their conditions: whom, what and which session each is about. A tool that no permit is about, or that a
 * forbid without a condition is about, is refused whatever the call, and need not be shown. Conditions are not looked into: what
 * depends on one is shown, and decided when it is called.
 */
export class PolicyHeads {
  readonly #schema: CedarSchema
  /** Null: they leave everything open, as most sets do. */
  readonly #set: PreparsedSet | null

  /** @param policies by id, in Cedar's JSON format */
  constructor(policies: Readonly<Record<string, PolicyJson>>, schema: CedarSchema) {
    this.#schema = schema
    const all = Object.entries(policies)
    const permits = all.filter(([, { effect }]) => effect === 'permit')
    const forbids = all.filter(([, { effect, conditions }]) => effect === 'forbid' && conditions.length === 0)
    const open = forbids.length === 0 && permits.some(([, policy]) => isAboutEverything(policy))
    const heads = [...permits, ...forbids].map(([id, policy]) => [id, { ...policy, conditions: [] }])
    this.#set = open ? null : new PreparsedSet(Object.fromEntries(heads))
  }

  /** False: policies refuse every call of this tool in this session. */
  leaveOpen(session: Session, tool: ToolMetadata): boolean {
    if (this.#set === null) return true
    const request = { caller: { kind: 'system' }, session, tool, args: {}, approval_reason: null } as const
    return this.#set.ask(cedarRequest(request, this.#schema, { names: new Set(), everything: false })).decision === 'allow'
  }

  release(): void {
    this.#set?.release()
  }
}

function isAboutEverything({ principal, action, resource }: PolicyJson): boolean {
  return [principal, action, resource].every(({ op }) => op === 'All')
}
