import { z } from 'zod'

const count = (description: string) => z.int().min(0).max(1_000_000).optional().describe(description)

export const metricsSchema = z
  .object({
    coverage_percent: z.number().min(0).max(100).optional().describe('Of statements or lines.'),
    diagnostics_count: count('Findings of compilers and linters.'),
    vulnerabilities_count: count('Known vulnerabilities.'),
    denied_licenses_count: count('Dependencies under a licence that is not allowed.'),
    failed_tests_count: count('Tests that failed.'),
  })
  .strict()

export type Metrics = z.infer<typeof metricsSchema>

const most = (what: string, fallback: number) =>
  z.int().min(-1).max(1_000_000).default(fallback).describe(`At most this many ${what}. -1: not looked at.`)

/** What a gate asks for. -1 turns a rule off. */
export const thresholdArguments = {
  min_coverage_percent: z
    .number()
    .min(-1)
    .max(100)
    .default(-1)
    .describe('At least this much coverage, in per cent. -1: not looked at.'),
  max_diagnostics: most('findings of compilers and linters', -1),
  max_vulnerabilities: most('known vulnerabilities', -1),
  max_denied_licenses: most('dependencies under a licence that is not allowed', -1),
  max_failed_tests: most('failed tests', 0),
}

export const thresholdsSchema = z.object(thresholdArguments).strict()
export type Thresholds = z.output<typeof thresholdsSchema>

export const ruleResultSchema = z.object({
  rule: z.string(),
  metric: z.string(),
  threshold: z.number(),
  actual: z.number().nullable().describe('Null: the metric was not given, which fails the rule.'),
  passed: z.boolean(),
  message: z.string(),
})

export type RuleResult = z.infer<typeof ruleResultSchema>

const RULES = [
  ['min_coverage_percent', 'coverage_percent'],
  ['max_diagnostics', 'diagnostics_count'],
  ['max_vulnerabilities', 'vulnerabilities_count'],
  ['max_denied_licenses', 'denied_licenses_count'],
  ['max_failed_tests', 'failed_tests_count'],
] as const satisfies [keyof Thresholds, keyof Metrics][]

/** The rules that are on, each with its verdict. A metric that a rule needs and nobody gave fails it. Pure. */
export function judge(metrics: Metrics, thresholds: Thresholds): RuleResult[] {
  return RULES.filter(([rule]) => thresholds[rule] >= 0).map(([rule, metric]) => {
    const threshold = thresholds[rule]
    const actual = metrics[metric] ?? null
    const least = rule.startsWith('min_')
    const passed = actual !== null && (least ? actual >= threshold : actual <= threshold)
    const wanted = `${metric} ${least ? '>=' : '<='} ${threshold}`
    const message = actual === null ? `${wanted}: ${metric} was not measured` : `${wanted}: it is ${actual}`
    return { rule, metric, threshold, actual, passed, message }
  })
}

export function summaryOf(rules: RuleResult[]): string {
  const failed = rules.filter((rule) => !rule.passed)
  if (rules.length === 0) return 'no rule is on: nothing was judged'
  if (failed.length === 0) return `all ${rules.length} rules hold`
  return `${failed.length} of ${rules.length} rules do not hold: ${failed.map((rule) => rule.message).join('; ')}`
}
