import { existsSync, readdirSync } from 'node:fs'
import type { Command } from 'commander'
import { contextOf } from '../../context.ts'
import { EXIT } from '../../exit-codes.ts'
import { usable } from './usable.ts'

export function addTest(policy: Command): void {
  policy
    .command('test <dir>')
    .description('decide the calls of *.test.json files under the policies of the same folder, and compare (needs no server)')
    .option('--policy <dir>', 'the policies, if they are not *.cedar in DIR; without any, those that Cloister comes with')
    .option('--tools <file>', 'tools of connectors: what `cloister tool list SESSION --json` printed')
    .addHelpText(
      'after',
      `
Exits with 1 when a decision is not what the file expects, with 2 when a file or a policy cannot be used.

Examples:
  cloister policy test ./policies
  cloister policy test ./tests --policy ./policies
  cloister policy test ./policies --tools tools.json`,
    )
    .action(async (dir: string, options: { policy?: string; tools?: string }, command: Command) => {
      const { out } = contextOf(command)
      const results = await usable(async ({ offlinePolicy, readDescribedTools, readPolicyTests, runPolicyTests }) => {
        const files = readPolicyTests(dir)
        const tools = options.tools === undefined ? [] : readDescribedTools(options.tools)
        return runPolicyTests(await offlinePolicy(options.policy ?? (holdsPolicies(dir) ? dir : null), tools), files)
      })
      const failed = results.filter(({ passed }) => !passed)
      out.result({ passed: results.length - failed.length, failed: failed.length, results }, () =>
        [
          ...results.flatMap(({ file, name, passed, problems }) => [
            `${passed ? 'ok  ' : 'FAIL'} ${file}: ${name}`,
            ...problems.map((problem) => `       ${problem}`),
          ]),
          `${results.length - failed.length} as expected, ${failed.length} not`,
        ].join('\n'),
      )
      if (failed.length > 0) process.exitCode = EXIT.failed
    })
}

function holdsPolicies(dir: string): boolean {
  return existsSync(dir) && readdirSync(dir).some((name) => name.endsWith('.cedar'))
}
