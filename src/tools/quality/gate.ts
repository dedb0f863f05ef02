import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { judge, metricsSchema, ruleResultSchema, summaryOf, thresholdArguments, thresholdsSchema } from './gate-rules.ts'

export default defineTool({
  name: 'quality.gate',
  description: `Judges measurements that other tools gave (coverage, findings, vulnerabilities, licences, failed tests) by thresholds, rule by
rule. By default only failed tests are looked at, and none may fail; a rule whose metric is not given does not hold. A gate that fails
is an answer, so that the call succeeds with status fail and exit code 1. It measures nothing itself: call repo.run_tests,
repo.coverage_report, repo.static_analysis or ci.run_pipeline for that.`,
  input: z.object({
    metrics: metricsSchema.describe('What was measured. Leave out what was not.'),
    ...thresholdArguments,
  }),
  output: z.object({
    status: z.enum(['pass', 'fail']),
    passed: z.boolean(),
    failed_rules_count: z.int(),
    rules: z.array(ruleResultSchema).describe('Those that are on.'),
    metrics: metricsSchema,
    thresholds: thresholdsSchema,
    summary: z.string(),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 30,
  errors: [],
  examples: [
    { title: 'No test may fail', args: { metrics: { failed_tests_count: 0 } } },
    {
      title: 'Coverage too',
      args: { metrics: { failed_tests_count: 0, coverage_percent: 81.5 }, min_coverage_percent: 80 },
    },
  ],
  async handler({ metrics, ...thresholds }) {
    const rules = judge(metrics, thresholds)
    const failed = rules.filter((rule) => !rule.passed).length
    const passed = failed === 0
    const status: 'pass' | 'fail' = passed ? 'pass' : 'fail'
    return {
      output: {
        status,
        passed,
        failed_rules_count: failed,
        rules,
        metrics,
        thresholds,
        summary: summaryOf(rules),
      },
      exit_code: passed ? 0 : 1,
    }
  },
})
