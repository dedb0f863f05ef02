import type { PolicyRule } from '../policy-engine.ts'
import { strings } from '../string-arguments.ts'

/** What may follow a name in a revision: `~2`, `^`, `^{commit}`, `@{upstream}`, `@{1}`. */
const SUFFIX = /(?:~\d*|\^\d*|\^\{(?:commit|tree|tag|blob)?\}|@\{(?:-?\d+|u|upstream|push)\})+$/

/** Git refs and revisions that name one commit, after the rules of git-check-ref-format(1). No ranges, no `:`, no options. */
export const gitRefs: PolicyRule = {
  name: 'git_refs',
  check: ({ tool, args }) => {
    for (const field of tool.policy.refs) {
      for (const ref of strings(args, field)) {
        const reason = refRefusal(ref)
        if (reason !== null) return `${field}: ${JSON.stringify(ref.slice(0, 300))} ${reason}`
      }
    }
    return null
  },
}

function refRefusal(ref: string): string | null {
  if (ref.length > 256) return 'is longer than 256 characters'
  if (ref.startsWith('-')) return 'starts with "-": a ref is a branch, a tag or a commit'
  if (ref.includes(':')) return 'holds ":": a ref is a branch, a tag or a commit'
  if (ref.includes('..')) return 'holds "..": name one commit, not a range'
  const name = ref.replace(SUFFIX, '')
  if (name === '' && ref.startsWith('@{')) return null
  if (name === '' || /[\0-\x20\x7f~^?*[\\]|@\{/.test(name)) return 'is not the name of a ref'
  const wrong =
    name.split('/').some((part) => part === '' || part.startsWith('.') || part.endsWith('.lock')) || name.endsWith('.')
  return wrong ? 'is not the name of a ref' : null
}
