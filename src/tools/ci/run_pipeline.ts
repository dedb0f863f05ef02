import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import type { ToolArtifact } from '../../domain/tool-artifact.ts'
import gate from '../quality/gate.ts'
import { judge, type Metrics, ruleResultSchema, summaryOf, thresholdsSchema } from '../quality/gate-rules.ts'
import build from '../repo/build.ts'
import coverage from '../repo/coverage_report.ts'
import tests from '../repo/run_tests.ts'
import analysis from '../repo/static_analysis.ts'
import { BUILD_TARGET, targetArgument } from '../repo/target-argument.ts'
import { isAnswer, runStep, type Step, type StepOutcome, skipped, stepSchema } from './pipeline-steps.ts'

export default defineTool({
  name: 'ci.run_pipeline',
  description: `Runs what a continuous integration would, one step after the other: repo.build, repo.static_analysis, repo.run_tests,
repo.coverage_report, and a quality gate over what they measured. A step that fails ends the pipeline (with fail_fast false the others
run too), and the call ends with tests_failed or execution_failed, the steps and which one failed. Each step that runs something needs that its tool may be
used in this session. It installs no dependencies, and pushes and publishes nothing.`,
  input: z.object({
    target: targetArgument(`Handed to the build and the analysis. ${BUILD_TARGET}`),
    include_static_analysis: z.boolean().default(true).describe('Run repo.static_analysis.'),
    include_coverage: z.boolean().default(true).describe('Run repo.coverage_report; where nothing measures it, it is skipped.'),
    include_quality_gate: z.boolean().default(true).describe('Judge what was measured by the thresholds.'),
    fail_fast: z.boolean().default(true).describe('false: run the remaining steps after one that failed.'),
    quality_gate: thresholdsSchema.prefault({}).describe('Thresholds as of quality.gate. Default: no test may fail.'),
  }),
  output: z.object({
    steps: z.array(stepSchema),
    failed_step: z.string().nullable().describe('The first one.'),
    quality_gate: z
      .object({
        status: z.enum(['pass', 'fail']),
        failed_rules_count: z.int(),
        rules: z.array(ruleResultSchema),
        summary: z.string(),
      })
      .nullable()
      .describe('Null: it was not asked for, or not reached.'),
    exit_code: z.int(),
    summary: z.string(),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 600,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'summary',
  errors: ['invalid_argument', 'not_found', 'execution_failed', 'tests_failed'],
  examples: [
    { title: 'Everything', args: {} },
    { title: 'With a threshold', args: { quality_gate: { min_coverage_percent: 80 } } },
  ],
  async handler(args, context) {
    const { target, include_static_analysis, include_coverage, include_quality_gate, fail_fast, quality_gate } = args
    const given = target === undefined ? {} : { target }
    const plan = [
      { name: 'build', tool: build, args: given, wanted: true },
      { name: 'static_analysis', tool: analysis, args: given, wanted: include_static_analysis },
      { name: 'tests', tool: tests, args: {}, wanted: true },
      { name: 'coverage', tool: coverage, args: {}, wanted: include_coverage },
    ] as const
    const steps: Step[] = []
    const outcomes = new Map<Step['name'], StepOutcome>()
    const artifacts: ToolArtifact[] = []
    let failed: { name: string; error: ToolError | null } | null = null
    for (const { name, tool, args: stepArgs, wanted } of plan) {
      if (!wanted) continue
      if (failed && (fail_fast || isOver(failed.error))) {
        steps.push(skipped(name, tool, `${failed.name} failed before`))
        continue
      }
      const outcome = await runStep(name, tool, stepArgs, context)
      outcomes.set(name, outcome)
      steps.push(outcome.step)
      artifacts.push(...outcome.artifacts)
      if (outcome.error && (!failed || isOver(outcome.error))) failed = { name, error: outcome.error }
    }
    const reached = include_quality_gate && !(failed && (fail_fast || isOver(failed.error)))
    const verdict = reached ? judgement(measured(outcomes), quality_gate) : null
    if (verdict) {
      const passed = verdict.status === 'pass'
      steps.push({
        ...skipped('quality_gate', gate, verdict.summary),
        status: passed ? 'passed' : 'failed',
        exit_code: passed ? 0 : 1,
      })
      if (!passed) failed ??= { name: 'quality_gate', error: null }
    } else if (include_quality_gate) steps.push(skipped('quality_gate', gate, `${failed?.name} failed before`))
    const said = steps.map(({ name, status }) => `${name} ${status}`).join(', ')
    const output = {
      steps,
      failed_step: failed?.name ?? null,
      quality_gate: verdict,
      exit_code: failed ? 1 : 0,
      summary: said,
    }
    if (!failed) return { output, exit_code: 0, artifacts }
    const why = failed.error?.message ?? verdict?.summary ?? ''
    throw new ToolError(failed.error?.code ?? 'execution_failed', `${failed.name} failed: ${why}`, {
      output,
      exitCode: 1,
      artifacts,
    })
  },
})

/** Nothing more can be run. */
function isOver(error: ToolError | null): boolean {
  return error !== null && !isAnswer(error)
}

function judgement(metrics: Metrics, thresholds: z.output<typeof thresholdsSchema>) {
  const rules = judge(metrics, thresholds)
  const failed_rules_count = rules.filter((rule) => !rule.passed).length
  const status: 'pass' | 'fail' = failed_rules_count === 0 ? 'pass' : 'fail'
  return { status, failed_rules_count, rules, summary: summaryOf(rules) }
}

/** What was not run, or could not be counted, is not measured: a rule about it then does not hold. */
function measured(outcomes: Map<Step['name'], StepOutcome>): Metrics {
  const metrics: Metrics = {}
  const tested = outcomes.get('tests')
  const failures = tested?.output['failed']
  if (typeof failures === 'number') metrics.failed_tests_count = failures
  // A runner that nobody knows ended with 0: none failed.
  else if (tested?.step.status === 'passed') metrics.failed_tests_count = 0
  const findings = outcomes.get('static_analysis')?.output['diagnostics']
  if (Array.isArray(findings))
    metrics.diagnostics_count = (findings as { severity: string }[]).filter(({ severity }) => severity !== 'note').length
  const percent = outcomes.get('coverage')?.output['coverage_percent']
  if (typeof percent === 'number') metrics.coverage_percent = percent
  return metrics
}
