import type { PolicyRule } from '../policy-engine.ts'
import { strings } from '../string-arguments.ts'

const MOST = 8
const LONGEST = 64

/** Extra arguments for a toolchain: only what the tool lists. `-run=` in the list stands for that option with any value. */
export const commandArgs: PolicyRule = {
  name: 'command_args',
  check: ({ tool, args }) => {
    for (const { field, allow } of tool.policy.command_args) {
      const values = strings(args, field)
      if (values.length > MOST) return `${field}: at most ${MOST} arguments`
      for (const value of values) {
        if (value.length > LONGEST) return `${field}: an argument must not be longer than ${LONGEST} characters`
        if (!allow.some((allowed) => accepts(allowed, value)))
          return `${field}: ${JSON.stringify(value)} is not among what is accepted: ${allow.join(' ')}`
      }
    }
    return null
  },
}

function accepts(allowed: string, value: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\0-\x1f\x7f]/.test(value)) return false
  return allowed.endsWith('=') ? value.startsWith(allowed) && value.length > allowed.length : value === allowed
}
