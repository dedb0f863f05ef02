import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import { canonicalJson, sha256 } from '../../domain/canonical-json.ts'
import type { PolicyVerdict } from '../policy-verdict.ts'
import { type PolicyNotes, readAnnotations } from './annotations.ts'
import type { CedarRequest } from './cedar-request.ts'
import { impossibleWords } from './known-words.ts'
import { type Mentioned, mention } from './mentioned.ts'
import { type PolicyFile, type PolicyProblem, PolicySetError } from './policy-files.ts'
import { PreparsedSet } from './preparsed-set.ts'

interface Policy {
  id: string
  file: string
  line: number
  text: string
  effect: 'permit' | 'forbid'
  notes: PolicyNotes
}

/** Of one problem, so many are told; a wrong attribute is wrong for each of a hundred tools. */
const TOLD = 50

/** A set of policies, checked against a schema and parsed once. Deciding has no effects and asks nobody. */
export class CedarSet {
  /** Digest of the files: names and text. */
  readonly digest: string
  /** Ids of all policies. */
  readonly ids: readonly string[]
  /** What the policies look at: the rest of a request need not be made. */
  readonly mentioned: Mentioned
  /** The policies in Cedar's JSON format, by id. */
  readonly json: Readonly<Record<string, ReturnType<typeof parsed>>>
  readonly #policies: ReadonlyMap<string, Policy>
  readonly #set: PreparsedSet

  /**
   * @param schema in Cedar's JSON format
   * @throws PolicySetError that names file, line and reason of everything that is wrong
   */
  constructor(files: readonly PolicyFile[], schema: object) {
    const policies = files.flatMap((file) => parseFile(file))
    this.#policies = new Map(policies.map((policy) => [policy.id, policy]))
    refuseTwins(policies)
    validate(policies, schema)
    refuseImpossible(policies)
    this.mentioned = { names: new Set(), everything: false }
    this.json = Object.fromEntries(policies.map(({ id, text }) => [id, parsed(text)]))
    for (const { conditions } of Object.values(this.json)) mention(this.mentioned, conditions)
    this.ids = [...this.#policies.keys()]
    this.digest = sha256(canonicalJson(files.map(({ name, text }) => ({ name, text }))))
    this.#set = new PreparsedSet(Object.fromEntries(policies.map(({ id, text }) => [id, text])))
  }

  /** Its memory is free again. It must not be asked any more. */
  release(): void {
    this.#set.release()
  }

  /** Denies whatever cannot be judged: a policy that fails, Cedar itself failing. */
  judge(request: CedarRequest): PolicyVerdict {
    try {
      return this.#ask(request)
    } catch {
      return { effect: 'deny', reason: 'the policies could not be applied to it', policies: [] }
    }
  }

  #ask(request: CedarRequest): PolicyVerdict {
    const { decision, diagnostics } = this.#set.ask(request)
    const policies = diagnostics.reason.toSorted()
    // A forbid that fails would not forbid: nobody knows what it would have said.
    const failed = diagnostics.errors.map(({ policyId }) => policyId).sort()
    if (failed.length > 0)
      return {
        effect: 'deny',
        reason: `policies that could not be evaluated: ${failed.join(', ')}`,
        policies: failed,
      }
    const notes = policies.flatMap((id) => this.#policies.get(id)?.notes ?? [])
    if (notes.length !== policies.length) throw new Error('Cedar named a policy that is not in the set')
    if (decision !== 'allow') return { effect: 'deny', reason: denialReason(policies, notes), policies }
    const demands = notes.flatMap(({ demand }) => demand ?? [])
    const reason = notes.find((each) => each.demand !== null && each.reason !== null)?.reason ?? null
    return { effect: 'allow', reason, policies, demands }
  }
}

function denialReason(policies: string[], notes: PolicyNotes[]): string {
  if (policies.length === 0) return 'no policy permits it'
  const said = notes.flatMap(({ reason }) => reason ?? [])
  return `forbidden by ${policies.join(', ')}${said.length > 0 ? `: ${said.join('; ')}` : ''}`
}

function parseFile({ name: file, text }: PolicyFile): Policy[] {
  const at = (offset: number) => lineAt(text, offset)
  const answer = cedar.checkParsePolicySet({ staticPolicies: text })
  if (answer.type === 'failure')
    throw new PolicySetError(
      answer.errors.map((error) => {
        const place = error.sourceLocations?.[0]
        const hint = [place?.label, error.help].filter((each) => each !== null && each !== undefined && each !== '')
        const reason = `${messageOf(error)}${hint.length > 0 ? ` (${hint.join('; ')})` : ''}`
        return { file, line: place ? at(place.start) : templateLine(text), reason }
      }),
    )
  const parts = cedar.policySetTextToParts(text)
  if (parts.type === 'failure') throw new PolicySetError([{ file, line: null, reason: parts.errors.map(messageOf).join('; ') }])
  const problems: PolicyProblem[] = []
  let from = 0
  const policies = inOrder(parts.policies).flatMap((part, index): Policy[] => {
    const start = Math.max(text.indexOf(part, from), from)
    from = start + part.length
    const line = text.slice(0, start).split('\n').length
    try {
      const { effect, annotations } = parsed(part)
      const notes = readAnnotations((annotations ?? {}) as Record<string, string | null>, effect)
      return [{ id: notes.id ?? `${file}#${index + 1}`, file, line, text: part, effect, notes }]
    } catch (error) {
      problems.push({ file, line, reason: (error as Error).message })
      return []
    }
  })
  if (problems.length > 0) throw new PolicySetError(problems)
  return policies
}

/** Templates have nobody who would fill them in; Cedar does not say where they stand. */
function templateLine(text: string): number | null {
  const parts = cedar.policySetTextToParts(text)
  const [template] = parts.type === 'success' ? parts.policy_templates : []
  return template === undefined ? null : text.slice(0, Math.max(0, text.indexOf(template))).split('\n').length
}

/** Cedar names the policies of a text `policy0`, `policy1`, ... as they stand, and hands them out sorted by these names. */
function inOrder(parts: string[]): string[] {
  const order = parts.map((_, index) => index).toSorted((a, b) => (`policy${a}` < `policy${b}` ? -1 : 1))
  const sorted: string[] = []
  for (const [place, index] of order.entries()) sorted[index] = parts[place] as string
  return sorted
}

function parsed(text: string) {
  const answer = cedar.policyToJson(text)
  if (answer.type === 'failure') throw new Error(answer.errors.map(messageOf).join('; '))
  return answer.json
}

function refuseTwins(policies: readonly Policy[]): void {
  const seen = new Map<string, Policy>()
  for (const policy of policies) {
    const { id, file, line } = policy
    const twin = seen.get(id)
    if (twin)
      throw new PolicySetError([{ file, line, reason: `the id ${JSON.stringify(id)} is taken by ${twin.file}:${twin.line}` }])
    seen.set(id, policy)
  }
}

/** What Cedar lets pass, because to it a word is a text. */
function refuseImpossible(policies: readonly Policy[]): void {
  const problems = policies.flatMap(({ file, line, text }) =>
    impossibleWords(parsed(text).conditions).map((reason) => ({ file, line, reason })),
  )
  if (problems.length > 0) throw new PolicySetError(problems.slice(0, TOLD))
}

/** Warnings are refusals too: a policy that can never match, or that looks like another one, is not what somebody meant. */
function validate(policies: readonly Policy[], schema: object): void {
  const staticPolicies = Object.fromEntries(policies.map(({ id, text }) => [id, text]))
  const answer = cedar.validate({ schema: schema as cedar.Schema, policies: { staticPolicies } })
  if (answer.type === 'failure')
    throw new PolicySetError([{ file: null, line: null, reason: answer.errors.map(messageOf).join('; ') }])
  const byId = new Map(policies.map((policy) => [policy.id, policy]))
  const told = new Map<string, PolicyProblem>()
  for (const { policyId, error } of [...answer.validationErrors, ...answer.validationWarnings]) {
    const policy = byId.get(policyId)
    const place = error.sourceLocations?.[0]
    const line = policy ? policy.line + (place ? lineAt(policy.text, place.start) - 1 : 0) : null
    const reason = `${messageOf(error).replace(/^for policy `[^`]*`[,:] /, '')}${error.help ? ` (${error.help})` : ''}`
    // One line for a place: the same fault shows for every tool.
    const key = `${policyId} ${place?.start ?? reason}`
    if (told.size < TOLD && !told.has(key)) told.set(key, { file: policy?.file ?? null, line, reason })
  }
  if (told.size > 0) throw new PolicySetError([...told.values()])
}

/** Cedar counts bytes of UTF-8. */
function lineAt(text: string, byteOffset: number): number {
  return Buffer.from(text).subarray(0, byteOffset).toString('latin1').split('\n').length
}

function messageOf(error: { message: string }): string {
  return error.message.replace(/^failed to parse (policies|policy) from string: /, '')
}
