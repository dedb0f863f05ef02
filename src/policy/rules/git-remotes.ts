import { ALLOWED_REF_PREFIXES, bindsRefs, parseRefspec, refRefusal, remoteRefusal } from '../../domain/git-refspec.ts'
import type { PolicyRule } from '../policy-engine.ts'
import { strings } from '../string-arguments.ts'

/** With whom, and which refs, a session's git tools may exchange: the names of remotes, and both sides of refspecs. */
export const gitRemotes: PolicyRule = {
  name: 'git_remotes',
  check: ({ session: { metadata }, tool, args }) => {
    for (const field of tool.policy.remotes) {
      for (const remote of strings(args, field)) {
        const reason = remoteRefusal(remote, metadata)
        if (reason !== null) return `${field}: ${reason}`
      }
    }
    for (const { field, reach } of tool.policy.refspecs) {
      const given = strings(args, field)
      if (given.length === 0 && bindsRefs(metadata))
        return `${field}: name one, because this session's ${ALLOWED_REF_PREFIXES} says which refs it may exchange`
      for (const text of given) {
        const refspec = parseRefspec(text)
        if ('error' in refspec) return `${field}: ${refspec.error}`
        const reached = reach === 'source' ? refspec.source : (refspec.destination ?? refspec.source)
        const reason = refRefusal(reached, metadata)
        if (reason !== null) return `${field}: ${reason}`
      }
    }
    return null
  },
}
