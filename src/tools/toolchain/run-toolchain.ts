import { z } from 'zod'
import type { ToolContext, ToolResult } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { type Run, runPlan, textArtifact } from '../repo/run-plan.ts'
import { parseTestOutput } from '../repo/test-output/parse-test-output.ts'
import { testsVerdict } from '../repo/test-run.ts'
import type { Plan } from '../repo/toolchains/toolchain.ts'
import { coveragePercent } from './coverage-percent.ts'
import { type Diagnostic, diagnosticSchema, parseDiagnostics } from './parse-diagnostics.ts'
import { whatWentWrong } from './what-went-wrong.ts'

/** The output of every tool that runs a toolchain. */
export const toolchainOutput = z.object({
  command: z.array(z.string()).describe('The last command that was run; empty if there was nothing to run.'),
  exit_code: z.int(),
  compiled_binary_path: z.string().nullable().describe('The program that was built, if it was exactly one.'),
  coverage_percent: z.number().nullable().describe('Of statements or lines, where the toolchain printed it.'),
  diagnostics: z.array(diagnosticSchema).describe('At most 200.'),
  output: z.string().describe('What the commands printed, without colours.'),
})

export type ToolchainOutput = z.infer<typeof toolchainOutput>

/** The same with what the runner reported. The counts are null if its report is of no known runner. */
export const testToolOutput = toolchainOutput.extend({
  runner: z.string().nullable(),
  passed: z.int().nullable(),
  failed: z.int().nullable(),
  skipped: z.int().nullable(),
  failed_tests: z.array(z.string()).describe('At most 500.'),
})

export type TestToolOutput = z.infer<typeof testToolOutput>

/** How a tool of a toolchain's family runs it. */
export interface ToolchainPlan extends Plan {
  /** The text artifact's name. */
  artifact: string
  /** Finds what is wrong where the text that a person reads does not say it best. Pure. */
  findings?: (run: Run) => Diagnostic[]
  /** The program that was built, relative to the workspace. Asked only after success. Pure. */
  program?: (run: Run) => string | null
}

/**
 * Runs commands in the workspace, one after the other, up to the first that fails.
 *
 * @throws ToolError execution_failed with the whole output if one does not end with 0; timeout, cancelled, ... with what came
 */
export async function runToolchain(plan: ToolchainPlan, context: ToolContext): Promise<ToolResult<ToolchainOutput>> {
  const { run, artifacts } = await runPlan(plan, context, plan.artifact, (cut) => toolchainReport(cut, plan))
  const output = toolchainReport(run, plan)
  if (run.exit_code === 0) return { output, exit_code: 0, artifacts }
  throw new ToolError('execution_failed', failureMessage(run, output.diagnostics), { output, exitCode: run.exit_code, artifacts })
}

/**
 * The same where the last command is a test runner.
 *
 * @param saidNo whether a run without any known runner's report ran the tests, and they failed; default: `testsVerdict` decides
 * @throws ToolError tests_failed if tests failed; execution_failed if they could not be run
 */
export async function runTestToolchain(
  plan: ToolchainPlan & { saidNo?: (run: Run) => boolean },
  context: ToolContext,
): Promise<ToolResult<TestToolOutput>> {
  const { run, artifacts } = await runPlan(plan, context, plan.artifact, (cut) => testReport(cut, plan))
  const output = testReport(run, plan)
  if (run.exit_code === 0) return { output, exit_code: 0, artifacts }
  throw new ToolError(...verdict(run, plan, output), { output, exitCode: run.exit_code, artifacts })
}

/** The answer when there is nothing to run. */
export function nothingToRun(artifact: string, diagnostics: Diagnostic[]): ToolResult<ToolchainOutput> {
  const output: ToolchainOutput = {
    command: [],
    exit_code: 0,
    compiled_binary_path: null,
    coverage_percent: null,
    diagnostics,
    output: diagnostics.map(({ message }) => `${message}\n`).join(''),
  }
  return { output, exit_code: 0, artifacts: [textArtifact(artifact, output.output)] }
}

function toolchainReport(run: Run, plan: ToolchainPlan): ToolchainOutput {
  return {
    command: run.command,
    exit_code: run.exit_code,
    compiled_binary_path: (run.exit_code === 0 && plan.program?.(run)) || null,
    coverage_percent: coveragePercent(run.output),
    diagnostics: plan.findings?.(run) ?? parseDiagnostics(run.output),
    output: run.output,
  }
}

function testReport(run: Run, plan: ToolchainPlan): TestToolOutput {
  const summary = run.complete ? parseTestOutput(run.raw) : null
  return {
    ...toolchainReport(run, plan),
    runner: summary?.runner ?? null,
    passed: summary?.passed ?? null,
    failed: summary?.failed ?? null,
    skipped: summary?.skipped ?? null,
    failed_tests: summary?.failed_tests.slice(0, 500) ?? [],
  }
}

function verdict(
  run: Run,
  { saidNo }: { saidNo?: (run: Run) => boolean },
  { runner, diagnostics }: TestToolOutput,
): ['tests_failed' | 'execution_failed', string] {
  if (runner === null && run.complete && saidNo?.(run))
    return ['tests_failed', `${run.command.join(' ')} ended with exit code ${run.exit_code}: read the output`]
  const [code, message] = testsVerdict(run, run.complete ? parseTestOutput(run.raw) : null)
  return code === 'tests_failed' ? [code, message] : [code, failureMessage(run, diagnostics)]
}

function failureMessage(run: Run, diagnostics: Diagnostic[]): string {
  return `${run.command.join(' ')} ended with exit code ${run.exit_code}. ${whatWentWrong(run, diagnostics)}`.trim()
}
