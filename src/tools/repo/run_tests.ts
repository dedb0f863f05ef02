import { z } from 'zod'
import { type CommandResult, defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { detectProject, type ProjectType } from './detect-project.ts'
import { ANY_EXTRA_ARG, checkExtraArgs, extraArgsArgument } from './extra-args.ts'
import { parseTestOutput } from './test-output/parse-test-output.ts'
import { stripAnsi, type TestSummary } from './test-output/test-summary.ts'
import { planTests, type TestPlan } from './test-plan.ts'

/** So that runners neither colour, nor ask, nor look for updates. */
const ENVIRONMENT = {
  CI: '1',
  NO_COLOR: '1',
  TERM: 'dumb',
  CARGO_TERM_COLOR: 'never',
  PYTHONDONTWRITEBYTECODE: '1',
  npm_config_update_notifier: 'false',
  npm_config_fund: 'false',
  npm_config_audit: 'false',
}

const OFFLINE = { GOPROXY: 'off', CARGO_NET_OFFLINE: 'true', npm_config_offline: 'true' }

interface Run {
  command: string[]
  exit_code: number
  output: string
  /** Every command was run, so that the last one is the tests. */
  complete: boolean
}

export default defineTool({
  name: 'repo.run_tests',
  description: `Runs the repository's tests with its own runner, told by the files at the root: go test, cargo test, npm test, pytest (or
unittest where pytest is not installed), Maven or Gradle, CMake with ctest, or make test. Returns the output with the counts of passed,
failed and skipped tests and the names of those that failed. Failing tests end the call with the error tests_failed and the same
output; if the tests could not be run at all, with execution_failed. It installs no dependencies.`,
  input: z.object({
    target: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^-\s]/, 'must not start with "-" or a blank')
      .optional()
      .describe(
        'Only these tests: a package for go, a file for python and node, a part of the name for rust and c, a class for java.',
      ),
    extra_args: extraArgsArgument(),
  }),
  output: z.object({
    project_type: z.string(),
    command: z.array(z.string()).describe('The last command that was run.'),
    exit_code: z.int(),
    output: z.string().describe('What the runner printed, without colours: standard output, then standard error.'),
    runner: z.string().nullable().describe('Whose report was read. Null: none that is known, and the counts are null too.'),
    passed: z.int().nullable(),
    failed: z.int().nullable(),
    skipped: z.int().nullable(),
    failed_tests: z.array(z.string()).describe('At most 500.'),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  output_limit_kb: 2048,
  policy: {
    paths: [{ field: 'target', access: 'read' }],
    command_args: [{ field: 'extra_args', allow: ANY_EXTRA_ARG }],
    whole_repository: true,
  },
  primary_output: 'output',
  examples: [
    { title: 'All tests', args: {} },
    { title: 'One file', args: { target: 'test/dates.test.ts' } },
  ],
  async handler({ target, extra_args }, context) {
    const project = await detectProject(context.sandbox)
    checkExtraArgs(project.type, extra_args)
    const plan = await planTests(project, target, extra_args, context)
    const run = await runPlan(plan, project.type, context)
    const summary = run.complete ? parseTestOutput(run.output) : null
    const output = report(project.type, run, plan, summary)
    const artifacts = [{ name: 'test-output.txt', content_type: 'text/plain; charset=utf-8', content: output.output }]
    if (run.exit_code === 0) return { output, exit_code: 0, artifacts }
    throw new ToolError(...verdict(run, summary), { output, exitCode: run.exit_code, artifacts })
  },
})

async function runPlan(plan: TestPlan, type: ProjectType, context: ToolContext): Promise<Run> {
  const env = { ...ENVIRONMENT, ...(context.session.network === 'none' && OFFLINE) }
  let said = ''
  let run: Run | null = null
  for (const [index, command] of plan.commands.entries()) {
    context.log(`$ ${command.join(' ')}`)
    const result = await runOne(command, env, type, said, plan, context)
    said += textOf(result)
    run = { command, exit_code: result.exit_code, output: said, complete: index === plan.commands.length - 1 }
    if (result.exit_code !== 0) break
  }
  if (!run) throw new Error('a plan without a command')
  return run
}

/** What came before a deadline or a limit is as much worth as the output of a run that ended. */
async function runOne(
  command: string[],
  env: Record<string, string>,
  type: ProjectType,
  before: string,
  plan: TestPlan,
  context: ToolContext,
): Promise<CommandResult> {
  try {
    return await context.sandbox.run(command, { env })
  } catch (error) {
    if (!(error instanceof ToolError) || error.output === undefined) throw error
    const { stdout, stderr } = error.output as { stdout?: string; stderr?: string }
    const text = before + textOf({ stdout: stdout ?? '', stderr: stderr ?? '' })
    const run: Run = { command, exit_code: error.exitCode ?? -1, output: text, complete: true }
    const output = report(type, run, plan, parseTestOutput(text))
    const artifacts = [{ name: 'test-output.txt', content_type: 'text/plain; charset=utf-8', content: output.output }]
    throw new ToolError(error.code, error.message, { output, exitCode: error.exitCode, artifacts, cause: error })
  }
}

function textOf({ stdout, stderr }: { stdout: string; stderr: string }): string {
  const parts = [stdout, stderr].map(stripAnsi).filter((text) => text !== '')
  return parts.map((text) => (text.endsWith('\n') ? text : `${text}\n`)).join('')
}

function report(type: ProjectType, run: Run, plan: TestPlan, summary: TestSummary | null) {
  return {
    project_type: type,
    command: run.command,
    exit_code: run.exit_code,
    output: plan.readable ? plan.readable(run.output) : run.output,
    runner: summary?.runner ?? null,
    passed: summary?.passed ?? null,
    failed: summary?.failed ?? null,
    skipped: summary?.skipped ?? null,
    failed_tests: summary?.failed_tests.slice(0, 500) ?? [],
  }
}

/** Signs that npm or a shell never got to the tests. */
const NOT_RUN = /^npm (?:error|ERR!) (?:Missing script: |code E(?!LIFECYCLE))|Error: no test specified|: (?:command )?not found$/m

function verdict(run: Run, summary: TestSummary | null): ['tests_failed' | 'execution_failed', string] {
  const command = run.command.join(' ')
  if (summary && summary.failed > 0) {
    const names = summary.failed_tests.slice(0, 5).join(', ')
    const more = summary.failed_tests.length > 5 ? ', ...' : ''
    return [
      'tests_failed',
      `${summary.failed} failed${summary.passed === null ? '' : `, ${summary.passed} passed`}: ${names}${more}`,
    ]
  }
  // A runner that is not known ran and said no: that is the answer to the question.
  if (!summary && run.complete && run.command[0] === 'npm' && run.exit_code < 126 && !NOT_RUN.test(run.output))
    return [
      'tests_failed',
      `${command} ended with exit code ${run.exit_code}; its report is of no known runner, so read the output`,
    ]
  if (
    !summary &&
    run.complete &&
    run.command[0] === 'make' &&
    !NOT_RUN.test(run.output) &&
    !/No rule to make target/.test(run.output)
  )
    return [
      'tests_failed',
      `${command} ended with exit code ${run.exit_code}; its report is of no known runner, so read the output`,
    ]
  const last = run.output.trim().split('\n').at(-1)?.slice(0, 300) ?? ''
  return ['execution_failed', `the tests could not be run: ${command} ended with exit code ${run.exit_code}. ${last}`]
}
