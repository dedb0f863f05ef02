import { z } from 'zod'
import type { ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import type { ToolArtifact } from '../../domain/tool-artifact.ts'
import { parseDiagnostics } from '../toolchain/parse-diagnostics.ts'
import { whatWentWrong } from '../toolchain/what-went-wrong.ts'
import { detectProject } from './detect-project.ts'
import { checkExtraArgs, extraArgsArgument } from './extra-args.ts'
import { type Run, runPlan } from './run-plan.ts'
import { settleTarget, targetArgument } from './target-argument.ts'
import { parseTestOutput } from './test-output/parse-test-output.ts'
import type { TestSummary } from './test-output/test-summary.ts'
import { toolchainOf } from './toolchains/toolchain-of.ts'

/** What says which of the project's tests are run. */
export const testArguments = {
  target: targetArgument(
    'Only these tests: a package for go, a file for python and node, a part of the name for rust and c, a class for java.',
  ),
  extra_args: extraArgsArgument('test'),
}

/** What a run of tests is reported as. */
export const testOutputs = {
  project_type: z.string(),
  command: z.array(z.string()).describe('The last command that was run.'),
  exit_code: z.int(),
  output: z.string().describe('What the runner printed, without colours: standard output, then standard error.'),
  runner: z.string().nullable().describe('Whose report was read. Null: none that is known, and the counts are null too.'),
  passed: z.int().nullable(),
  failed: z.int().nullable(),
  skipped: z.int().nullable(),
  failed_tests: z.array(z.string()).describe('At most 500.'),
}

export interface TestRun {
  run: Run
  /** Null: no report of a known runner. */
  summary: TestSummary | null
  artifacts: ToolArtifact[]
}

/**
 * Runs the project's tests. Resolves whether they pass or not (`testsError` tells); throws only when there is no way to run them,
 * or when they were cut off, with what `report` makes of what came before.
 */
export async function runTests(
  { target, extra_args }: { target?: string | undefined; extra_args: string[] },
  context: ToolContext,
  report: (type: string, run: Run, summary: TestSummary | null) => Record<string, unknown>,
): Promise<TestRun & { project_type: string }> {
  const project = await detectProject(context.sandbox)
  checkExtraArgs(project.type, extra_args, 'test')
  await settleTarget(target, context.sandbox)
  const plan = await toolchainOf(project).test({ project, target, extra: extra_args, context })
  const summaryOf = (run: Run) => (run.complete ? parseTestOutput(run.raw) : null)
  const { run, artifacts } = await runPlan(plan, context, 'test-output.txt', (cut) => report(project.type, cut, summaryOf(cut)))
  return { project_type: project.type, run, summary: summaryOf(run), artifacts }
}

export function testReport(type: string, run: Run, summary: TestSummary | null) {
  return {
    project_type: type,
    command: run.command,
    exit_code: run.exit_code,
    output: run.output,
    runner: summary?.runner ?? null,
    passed: summary?.passed ?? null,
    failed: summary?.failed ?? null,
    skipped: summary?.skipped ?? null,
    failed_tests: summary?.failed_tests.slice(0, 500) ?? [],
  }
}

/** Signs that npm or a shell never got to the tests. */
const NOT_RUN = /^npm (?:error|ERR!) (?:Missing script: |code E(?!LIFECYCLE))|Error: no test specified|: (?:command )?not found$/m

/** What a run that did not end with 0 means: tests that fail, or tests that could not be run at all (nor built, nor loaded). */
export function testsVerdict(run: Run, summary: TestSummary | null): ['tests_failed' | 'execution_failed', string] {
  const command = run.command.join(' ')
  if (summary && summary.failed > 0 && !summary.none_ran) {
    const names = summary.failed_tests.slice(0, 5).join(', ')
    const more = summary.failed_tests.length > 5 ? ', ...' : ''
    return [
      'tests_failed',
      `${summary.failed} failed${summary.passed === null ? '' : `, ${summary.passed} passed`}: ${names}${more}`,
    ]
  }
  // A runner that is not known ran and said no: that is the answer to the question.
  if (!summary && run.complete && saidNo(run))
    return [
      'tests_failed',
      `${command} ended with exit code ${run.exit_code}; its report is of no known runner, so read the output`,
    ]
  return [
    'execution_failed',
    `the tests could not be run: ${command} ended with exit code ${run.exit_code}. ${whatWentWrong(run, parseDiagnostics(run.output))}`,
  ]
}

function saidNo({ command: [program], exit_code, output }: Run): boolean {
  if (NOT_RUN.test(output)) return false
  return program === 'npm' ? exit_code < 126 : program === 'make' && !/No rule to make target/.test(output)
}

/** The error that a run of tests ends with, or null when it ended with 0. */
export function testsError({ run, summary, artifacts }: TestRun, output: Record<string, unknown>): ToolError | null {
  if (run.exit_code === 0) return null
  return new ToolError(...testsVerdict(run, summary), { output, exitCode: run.exit_code, artifacts })
}
