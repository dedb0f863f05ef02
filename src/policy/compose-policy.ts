import type { ToolMetadata } from '../domain/tool.ts'
import { CedarMessageSet } from './cedar/cedar-message-set.ts'
import { CedarPolicySet } from './cedar/cedar-policy-set.ts'
import { DEFAULT_POLICIES, readMessagePolicies, readPolicyFolder } from './cedar/policy-files.ts'
import { LayeredPolicyEngine } from './layered-policy-engine.ts'
import { MessagePolicies } from './message-policies.ts'
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
  /** About what is said: in the folder `messages` of the folder of policies. */
  messages: MessagePolicies
  /** Of the policies now in force. */
  readonly policies: { folder: string; ids: readonly string[]; digest: string }
  /** Reads the folder again. @throws PolicySetError, and what was in force stays in force */
  reload(): void
  /** Do the policies in force fit these tools? @throws PolicySetError where they do not */
  checkTools(tools: readonly ToolMetadata[]): void
  /** From now on these are the tools that policies are about. @throws PolicySetError, and then nothing has changed */
  replaceTools(tools: readonly ToolMetadata[]): void
}

/**
 * Everything that decides, put together: the server, and those who decide offline, ask the same.
 * @throws PolicySetError that names file, line and reason
 */
export function composePolicy({ folder, opa }: PolicySettings, tools: readonly ToolMetadata[]): ComposedPolicy {
  const source = folder ?? DEFAULT_POLICIES
  let files = readPolicyFolder(source)
  let current = tools
  let cedar = new CedarPolicySet(files, current)
  const messages = new MessagePolicies(messageSet(source))
  const engine = new LayeredPolicyEngine({ rules: new RulePolicyEngine(), cedar, opa: opa && new OpaPolicy(opa) })
  return {
    engine,
    messages,
    get policies() {
      return { folder: source, ids: cedar.ids, digest: cedar.digest }
    },
    reload() {
      const read = readPolicyFolder(source)
      const next = new CedarPolicySet(read, current)
      const nextMessages = messageSet(source)
      engine.replacePolicies(next)
      messages.replace(nextMessages)
      cedar = next
      files = read
    },
    checkTools(changed) {
      new CedarPolicySet(files, changed).release()
    },
    replaceTools(changed) {
      const next = new CedarPolicySet(files, changed)
      engine.replacePolicies(next)
      cedar = next
      current = changed
    },
  }
}

function messageSet(folder: string): CedarMessageSet | null {
  const files = readMessagePolicies(folder)
  return files && new CedarMessageSet(files)
}
