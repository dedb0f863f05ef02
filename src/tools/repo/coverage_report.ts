import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { detectProject, type Project } from './detect-project.ts'
import { runReport } from './project-run.ts'
import { type Run, runPlan } from './run-plan.ts'
import { settleTarget, targetArgument } from './target-argument.ts'
import { parseTestOutput } from './test-output/parse-test-output.ts'
import { testsError } from './test-run.ts'
import { toolchainOf } from './toolchains/toolchain-of.ts'

export default defineTool({
  name: 'repo.coverage_report',
  description: `Runs the tests with coverage and returns the percentage of statements or lines that ran, where the repository's own tools
measure it: go test, node --test, jest, vitest or a script "coverage", pytest-cov or coverage.py, cargo-llvm-cov or cargo-tarpaulin. Where
nothing does, nothing is run and coverage_supported is false, with the reason as output. Failing tests end the call with tests_failed. It
installs nothing, and does not say which lines are missing beyond what the tools print.`,
  input: z.object({
    target: targetArgument('Only these tests: a package for go and rust, a file or directory for node and python.'),
  }),
  output: z.object({
    project_type: z.string(),
    command: z.array(z.string()).describe('The last command that was run; empty if nothing was.'),
    coverage_supported: z.boolean(),
    coverage_percent: z.number().min(0).max(100).nullable().describe('Null: not supported, or the tools did not say.'),
    exit_code: z.int().nullable().describe('Null: nothing was run.'),
    output: z.string(),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 240,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed', 'tests_failed'],
  examples: [{ title: 'How much do the tests cover?', args: {} }],
  async handler({ target }, context) {
    const project = await detectProject(context.sandbox)
    const toolchain = toolchainOf(project)
    await settleTarget(target, context.sandbox)
    const plan = await toolchain.coverage({ project, target, extra: [], context })
    if ('unsupported' in plan)
      return {
        output: {
          project_type: project.type,
          command: [],
          coverage_supported: false,
          coverage_percent: null,
          exit_code: null,
          output: `coverage cannot be measured: ${plan.unsupported}\n`,
        },
      }
    const report = (of: Project, run: Run) => ({
      ...runReport(of, run),
      coverage_supported: true,
      coverage_percent: plan.percentOf(run.output),
    })
    const ran = await runPlan(plan, context, 'coverage-output.txt', (cut) => report(project, cut))
    const output = report(project, ran.run)
    const error = testsError({ ...ran, summary: parseTestOutput(ran.run.raw) }, output)
    if (error) throw error
    return { output, exit_code: 0, artifacts: ran.artifacts }
  },
})
