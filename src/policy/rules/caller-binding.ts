import { owns } from '../../domain/principal.ts'
import type { PolicyRule } from '../policy-engine.ts'

/** An agent credential acts in its own session only, a person in their own ones. */
export const callerBinding: PolicyRule = {
  name: 'caller_binding',
  check: ({ caller, session }) => {
    if (owns(caller, session)) return null
    return caller.kind === 'user'
      ? 'the session belongs to somebody else'
      : 'this credential is bound to another session: use it there, or get one for this session'
  },
}
