import type { Command } from 'commander'
import { addCheck } from './policy/check.ts'
import { addReplay } from './policy/replay.ts'
import { addTest } from './policy/test.ts'

export function addPolicy(program: Command): void {
  const policy = program.command('policy').description('policies: what may be done, and who is asked (docs/policy.md)')
  addCheck(policy)
  addTest(policy)
  addReplay(policy)
}
