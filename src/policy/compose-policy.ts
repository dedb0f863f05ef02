import type { ToolMetadata } from '../domain/tool.ts'
import { CedarPolicySet } from './cedar/cedar-policy-set.ts'
import { DEFAULT_POLICIES, readPolicyFolder } from './cedar/policy-files.ts'
import { LayeredPolicyEngine } from './layered-policy-engine.ts'
import { OpaPolicy } from './opa-policy.ts'
import { RulePolicyEngine } from './rule-policy-engine.ts'

export interface PolicySettings {
  /** Null: what Cloister comes with. */
  folder: string | null
  /** Null: no policy server is asked. */
  opa: { url: string; timeoutMs: number } | null
}

export interface ComposedPolicy {
  engine: LayeredPolicyEngine
  /** Of the policies now in force. */
  readonly policies: { folder: string; ids: readonly string[]; digest: string }
  /** Reads the folder again. @throws PolicySetError, and what was in force stays in force */
  reload(): void
}

/**
 * Everything that decides, put together: the server, and those who decide offline, ask the same.
 * @throws PolicySetError that names file, line and reason
 */
export function composePolicy({ folder, opa }: PolicySettings, tools: readonly ToolMetadata[]): ComposedPolicy {
  const source = folder ?? DEFAULT_POLICIES
  let cedar = new CedarPolicySet(readPolicyFolder(source), tools)
  const engine = new LayeredPolicyEngine({ rules: new RulePolicyEngine(), cedar, opa: opa && new OpaPolicy(opa) })
  return {
    engine,
    get policies() {
      return { folder: source, ids: cedar.ids, digest: cedar.digest }
    },
    reload() {
      const next = new CedarPolicySet(readPolicyFolder(source), tools)
      engine.replacePolicies(next)
      cedar = next
    },
  }
}
