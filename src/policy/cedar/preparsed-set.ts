import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import type { CedarRequest } from './cedar-request.ts'
import { PolicySetError } from './policy-files.ts'

/** Cedar keeps preparsed sets by name for ever: names of sets that are no longer used are used again. */
const freeNames: string[] = []
let names = 0

/** Policies that were parsed once, to be asked often. */
export class PreparsedSet {
  readonly #name: string

  /** @throws PolicySetError when they cannot be parsed */
  constructor(staticPolicies: Record<string, cedar.Policy>) {
    this.#name = freeNames.pop() ?? `cloister-${++names}`
    const answer = cedar.preparsePolicySet(this.#name, { staticPolicies })
    if (answer.type === 'failure')
      throw new PolicySetError([{ file: null, line: null, reason: answer.errors.map(({ message }) => message).join('; ') }])
  }

  /** @throws Error when Cedar cannot answer */
  ask(request: CedarRequest): cedar.Response {
    const answer = cedar.statefulIsAuthorized({ ...request, preparsedPolicySetId: this.#name })
    if (answer.type === 'failure') throw new Error(answer.errors.map(({ message }) => message).join('; '))
    return answer.response
  }

  /** Its memory is free again. It must not be asked any more. */
  release(): void {
    cedar.preparsePolicySet(this.#name, { staticPolicies: {} })
    freeNames.push(this.#name)
  }
}
