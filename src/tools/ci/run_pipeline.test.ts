import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { needsProgram } from '../../../test/support/sandbox-programs.ts'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import type { PolicyView } from '../../catalog/define-tool.ts'
import type { ToolError } from '../../domain/errors.ts'
import pipeline from './run_pipeline.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

/** Denies some tools; remembers what it was asked. */
const asked: [string, unknown][] = []
const policy = (denied: string[] = [], needApproval: string[] = []): PolicyView => ({
  check: async (tool, args) => {
    asked.push([tool, args])
    const allowed = !denied.includes(tool)
    return {
      allowed,
      reason: allowed ? 'allowed' : 'not for you',
      requires_approval: needApproval.includes(tool),
      violations: [],
    }
  },
})
const run = async (args: object = {}, options = {}) =>
  await workspace.call(pipeline, { ...args }, { policy: policy(), ...options })
const fail = async (args: object = {}, options = {}) =>
  (await workspace.failure(pipeline, { ...args }, { policy: policy(), ...options })) as ToolError
const steps = (output: unknown) =>
  (output as { steps: { name: string; status: string }[] }).steps.map(({ name, status }) => `${name} ${status}`)

const project = (scripts: Record<string, string>, files: Record<string, string> = {}) => ({
  'package.json': JSON.stringify({
    name: 'demo',
    type: 'module',
    scripts: { build: 'echo built > built.txt', lint: 'echo fine', test: 'node --test', ...scripts },
  }),
  'sum.test.js': "import test from 'node:test'\ntest('adds', () => {})\n",
  ...files,
})
const BAD = { 'bad.test.js': "import test from 'node:test'\ntest('is wrong', () => { throw new Error('no') })\n" }
const LINT = { 'lint.js': "console.log('src/a.js:1:1: warning: odd')\n" }

describe('ci.run_pipeline', { timeout: 120_000 }, () => {
  it('runs all steps of a Node project, and the gate over what they measured', async () => {
    await workspace.plant(project({ coverage: "echo 'All files | 91.5 |'", lint: 'node lint.js' }, LINT))
    asked.length = 0
    const { output, exit_code, artifacts } = await run({ quality_gate: { min_coverage_percent: 90, max_diagnostics: 1 } })
    expect(steps(output)).toEqual([
      'build passed',
      'static_analysis passed',
      'tests passed',
      'coverage passed',
      'quality_gate passed',
    ])
    expect(output).toMatchObject({
      failed_step: null,
      exit_code: 0,
      quality_gate: {
        status: 'pass',
        rules: [
          { rule: 'min_coverage_percent', actual: 91.5 },
          { rule: 'max_diagnostics', actual: 1 },
          { rule: 'max_failed_tests', actual: 0 },
        ],
      },
    })
    expect([exit_code, existsSync(join(workspace.code, 'built.txt'))]).toEqual([0, true])
    expect(artifacts?.map(({ name }) => name)).toEqual([
      'build-output.txt',
      'static-analysis-output.txt',
      'test-output.txt',
      'coverage-output.txt',
    ])
    expect(asked.map(([tool]) => tool)).toEqual(['repo.build', 'repo.static_analysis', 'repo.run_tests', 'repo.coverage_report'])
  })

  it('stops at the first step that fails, unless told to go on', async () => {
    await workspace.plant(project({ lint: 'exit 3' }, BAD))
    const stopped = await fail()
    expect(stopped).toMatchObject({
      code: 'execution_failed',
      exitCode: 1,
      message: expect.stringMatching(/^static_analysis failed: /),
    })
    expect(steps(stopped.output)).toEqual([
      'build passed',
      'static_analysis failed',
      'tests skipped',
      'coverage skipped',
      'quality_gate skipped',
    ])
    expect(stopped.output).toMatchObject({ failed_step: 'static_analysis', quality_gate: null, exit_code: 1 })
    expect(pipeline.output.strict().safeParse(stopped.output).success).toBe(true)
    const all = await fail({ fail_fast: false, include_coverage: false })
    expect(steps(all.output)).toEqual(['build passed', 'static_analysis failed', 'tests failed', 'quality_gate failed'])
    expect(all.output).toMatchObject({
      failed_step: 'static_analysis',
      quality_gate: { status: 'fail', rules: [{ actual: 1, passed: false }] },
    })
    expect(all.artifacts.map(({ name }) => name)).toContain('test-output.txt')
  })

  it('says tests_failed when it is the tests, and leaves out what is not wanted', async () => {
    await workspace.plant(project({ lint: 'exit 3' }, BAD))
    const error = await fail({ include_static_analysis: false, include_coverage: false, include_quality_gate: false })
    expect(error).toMatchObject({ code: 'tests_failed', message: expect.stringContaining('is wrong') })
    expect(steps(error.output)).toEqual(['build passed', 'tests failed'])
    expect(error.output).toMatchObject({
      failed_step: 'tests',
      steps: [{}, { exit_code: 1, tool: 'repo.run_tests', output_excerpt: expect.stringContaining('is wrong') }],
    })
  })

  it('fails by the gate alone, also for what was not measured', async () => {
    await workspace.plant(project({}))
    const error = await fail({ quality_gate: { max_vulnerabilities: 0 } })
    expect(error).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('vulnerabilities_count was not measured'),
    })
    expect(error.output).toMatchObject({ failed_step: 'quality_gate', quality_gate: { status: 'fail', failed_rules_count: 1 } })
  })

  it('does nothing that the session may not do by the tools themselves', async () => {
    await workspace.plant(project({ build: 'echo built > built.txt' }))
    const denied = await fail({}, { policy: policy(['repo.build']) })
    expect(denied).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('repo.build may not be used in this session: not for you'),
    })
    expect((await fail({}, { policy: policy([], ['repo.build']) })).message).toContain('approval')
    expect(existsSync(join(workspace.code, 'built.txt'))).toBe(false)
  })

  it('runs a Python project', async (context) => {
    await needsProgram(context, workspace, pipeline, 'python3', '-c', 'import pytest')
    await workspace.plant({ 'requirements.txt': '', 'test_x.py': 'def test_it():\n    pass\n' })
    expect(steps((await run({ include_coverage: false })).output)).toEqual([
      'build passed',
      'static_analysis passed',
      'tests passed',
      'quality_gate passed',
    ])
  })

  it('ends with what is no answer: no project, a deadline, a cancellation', async () => {
    expect(await fail()).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no known kind of project') })
    await workspace.plant(project({ build: 'sleep 60' }))
    const late = await fail({ fail_fast: false }, { timeout_seconds: 3 })
    expect(late).toMatchObject({ code: 'timeout', output: { failed_step: 'build', quality_gate: null } })
    expect(steps(late.output)).toEqual([
      'build failed',
      'static_analysis skipped',
      'tests skipped',
      'coverage skipped',
      'quality_gate skipped',
    ])
    const controller = new AbortController()
    controller.abort()
    expect(await fail({}, { signal: controller.signal })).toMatchObject({ code: 'cancelled' })
  })

  it('hands its target on, and nothing that leads outside', async () => {
    await workspace.plant(project({ build: 'echo', lint: 'echo' }))
    const { output } = await run({ target: 'sum.test.js', include_coverage: false })
    expect(output).toMatchObject({ steps: [{ command: expect.arrayContaining(['sum.test.js']) }, {}, {}, {}] })
    symlinkSync('/etc', join(workspace.code, 'link'))
    for (const target of ['../x', '/etc/passwd', 'link/passwd'])
      expect(await fail({ target }), target).toMatchObject({ code: 'policy_denied' })
  })

  itWithstandsAttacks(() => workspace, {
    tool: pipeline,
    project: {},
    partial: true,
    refused: [
      { target: '-x' },
      { fail_fast: 'no' },
      { include_coverage: 1 },
      { quality_gate: { min_coverage_percent: 101 } },
      { quality_gate: { no_such_threshold: 1 } },
      { quality_gate: 7 },
    ],
  })

  it('does not run in a part of the workspace', async () => {
    await workspace.plant(project({}))
    expect(pipeline.metadata.policy.whole_repository).toBe(true)
    expect(await fail({}, { allowed_paths: ['src'] })).toMatchObject({ code: 'policy_denied' })
  })
})
