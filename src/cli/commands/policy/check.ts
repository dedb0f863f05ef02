import type { Command } from 'commander'
import type { PolicyCheck } from '../../../client/cloister-client.ts'
import { jsonObject } from '../../arguments.ts'
import { contextOf } from '../../context.ts'
import { EXIT } from '../../exit-codes.ts'
import { sessionId } from '../../session-id.ts'

export function addCheck(policy: Command): void {
  policy
    .command('check <session> <tool> [args]')
    .description('would this call be allowed, and why: asks the server, runs and records nothing')
    .addHelpText(
      'after',
      `
Exits with 0 when it would run at once, with 3 when it would be refused or wait for an approval.

Examples:
  cloister policy check ses_01k... fs.read '{"path": "README.md"}'
  cloister policy check ses_01k... git.push --json`,
    )
    .action(async (given: string, tool: string, args: string | undefined, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const parsed = args === undefined ? {} : await jsonObject(args, 'ARGS')
      const check = await client.checkTool(await sessionId(client, given), tool, parsed)
      out.result({ check }, () => checkText(check))
      if (check.effect === 'deny' || check.effect === 'require_approval') process.exitCode = EXIT.denied
    })
}

const WORDS = {
  allow: 'allowed',
  deny: 'refused',
  require_approval: 'needs an approval',
  standing_approval: 'allowed by a standing approval',
} as const

function checkText(check: PolicyCheck): string {
  return [
    `${check.tool_name}: ${WORDS[check.effect]}`,
    `  ${check.rule}: ${check.reason}`,
    ...check.violations.filter((each) => each !== `${check.rule}: ${check.reason}`).map((each) => `  ${each}`),
    ...(check.policies.length > 0 ? [`  policies: ${check.policies.join(', ')}`] : []),
    ...(check.requires_approval ? [`  approvers: ${check.approvers.map((each) => each.join(' or ')).join(', and also ')}`] : []),
    `  policy version: ${check.policy_version}`,
  ].join('\n')
}
