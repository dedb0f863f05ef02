import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import gate from './gate.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())

describe('quality.gate', () => {
  it.each<{ what: string; args: Record<string, unknown>; failed: string[]; on: number }>([
    { what: 'no failed test', args: { metrics: { failed_tests_count: 0 } }, failed: [], on: 1 },
    { what: 'a failed test', args: { metrics: { failed_tests_count: 1 } }, failed: ['max_failed_tests'], on: 1 },
    { what: 'tests that were not counted', args: { metrics: {} }, failed: ['max_failed_tests'], on: 1 },
    { what: 'nothing asked', args: { metrics: {}, max_failed_tests: -1 }, failed: [], on: 0 },
    {
      what: 'just enough of everything',
      args: {
        metrics: {
          coverage_percent: 80,
          diagnostics_count: 3,
          vulnerabilities_count: 0,
          denied_licenses_count: 1,
          failed_tests_count: 2,
        },
        min_coverage_percent: 80,
        max_diagnostics: 3,
        max_vulnerabilities: 0,
        max_denied_licenses: 1,
        max_failed_tests: 2,
      },
      failed: [],
      on: 5,
    },
    {
      what: 'one too many of everything',
      args: {
        metrics: {
          coverage_percent: 79.9,
          diagnostics_count: 4,
          vulnerabilities_count: 1,
          denied_licenses_count: 2,
          failed_tests_count: 3,
        },
        min_coverage_percent: 80,
        max_diagnostics: 3,
        max_vulnerabilities: 0,
        max_denied_licenses: 1,
        max_failed_tests: 2,
      },
      failed: ['min_coverage_percent', 'max_diagnostics', 'max_vulnerabilities', 'max_denied_licenses', 'max_failed_tests'],
      on: 5,
    },
    {
      what: 'coverage asked and not given',
      args: { metrics: { failed_tests_count: 0 }, min_coverage_percent: 0 },
      failed: ['min_coverage_percent'],
      on: 2,
    },
  ])('$what', async ({ args, failed, on }) => {
    const { output, exit_code } = await workspace.call(gate, args)
    const rules = output['rules'] as { rule: string; passed: boolean }[]
    expect(rules.filter((rule) => !rule.passed).map((rule) => rule.rule)).toEqual(failed)
    expect(rules).toHaveLength(on)
    const passed = failed.length === 0
    expect(output).toMatchObject({
      status: passed ? 'pass' : 'fail',
      passed,
      failed_rules_count: failed.length,
      metrics: args['metrics'],
    })
    expect(exit_code).toBe(passed ? 0 : 1)
  })

  itWithstandsAttacks(() => workspace, {
    tool: gate,
    project: {},
    args: { metrics: {} },
    partial: true,
    refused: [
      { metrics: undefined },
      { metrics: { coverage_percent: 101 } },
      { metrics: { failed_tests_count: -1 } },
      { metrics: { failed_tests_count: 0.5 } },
      { metrics: { failed_tests_count: '0' } },
      { metrics: { no_such_metric: 1 } },
      { metrics: { coverage_percent: Number.NaN } },
      { min_coverage_percent: 101 },
      { min_coverage_percent: -2 },
      { max_failed_tests: -2 },
      { max_diagnostics: '3' },
      { max_diagnostics: 1.5 },
    ],
  })
})
