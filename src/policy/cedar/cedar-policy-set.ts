import type { Session } from '../../domain/session.ts'
import type { ToolMetadata } from '../../domain/tool.ts'
import type { PolicyRequest } from '../policy-engine.ts'
import type { PolicyVerdict } from '../policy-verdict.ts'
import { cedarRequest } from './cedar-request.ts'
import { type CedarSchema, cedarSchema } from './cedar-schema.ts'
import { CedarSet } from './cedar-set.ts'
import type { PolicyFile } from './policy-files.ts'
import { PolicyHeads } from './policy-heads.ts'

/** An administrator's policies about calls of tools, checked against the schema of this catalog. */
export class CedarPolicySet {
  readonly #schema: CedarSchema
  readonly #set: CedarSet
  readonly #heads: PolicyHeads

  /** @throws PolicySetError that names file, line and reason of everything that is wrong */
  constructor(files: readonly PolicyFile[], tools: readonly ToolMetadata[]) {
    this.#schema = cedarSchema(tools)
    this.#set = new CedarSet(files, this.#schema.json)
    this.#heads = new PolicyHeads(this.#set.json, this.#schema)
  }

  /** Digest of the files: names and text. */
  get digest(): string {
    return this.#set.digest
  }

  /** Ids of all policies. */
  get ids(): readonly string[] {
    return this.#set.ids
  }

  /** Its memory is free again. It must not be asked any more. */
  release(): void {
    this.#set.release()
    this.#heads.release()
  }

  /** False: every call of this tool in this session is refused, whatever its arguments. What cannot be judged is shown, and refused. */
  leavesOpen(session: Session, tool: ToolMetadata): boolean {
    try {
      return this.#heads.leaveOpen(session, tool)
    } catch (error) {
      if (error instanceof Error && error.name === 'UnfitArgument') return true
      throw error
    }
  }

  /** Why the policies would judge something else than what is done; null: they see what they look at. */
  #blindness({ tool, args, unseen = [] }: PolicyRequest): string | null {
    const { names, everything } = this.#set.mentioned
    const looksAt = (name: string) => everything || names.has(name)
    const hidden = unseen.filter(looksAt)
    if (hidden.length > 0) return `policies look at ${hidden.join(' and ')}, and cannot be shown that of a body this large`
    const encoded = tool.policy.encoded.find(({ field, by }) => looksAt(field) && !looksAt(by) && args[by] !== 'utf8')
    if (!encoded) return null
    const { field, by } = encoded
    return `policies look at ${field} and not at ${by}: they do not say what holds for ${field} that is no plain text`
  }

  /** Denies whatever cannot be judged: what policies look at and do not see, an argument that does not fit, a policy that fails, Cedar itself failing. */
  decide(request: PolicyRequest): PolicyVerdict {
    try {
      const blindness = this.#blindness(request)
      if (blindness !== null) return { effect: 'deny', reason: blindness, policies: [] }
      return this.#set.judge(cedarRequest(request, this.#schema, this.#set.mentioned))
    } catch (error) {
      const known = error instanceof Error && ['UnfitArgument', 'UnexpectedArgument', 'UnjudgedPaths'].includes(error.name)
      return { effect: 'deny', reason: known ? error.message : 'the policies could not be applied to this call', policies: [] }
    }
  }
}
