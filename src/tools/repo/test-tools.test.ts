import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { linkNodeModules, PROJECTS } from '../../../test/support/sample-projects.ts'
import { needsProgram } from '../../../test/support/sandbox-programs.ts'
import { type CallOptions, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import type { ToolError } from '../../domain/errors.ts'
import stacktraceSummary from './stacktrace_summary.ts'
import testFailuresSummary from './test_failures_summary.ts'
import testFile from './test_file.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const succeed = async (tool: Tool, args: Record<string, unknown> = {}, options: CallOptions = {}) =>
  (await workspace.call(tool, args, options)).output
const fail = async (tool: Tool, args: Record<string, unknown> = {}, options: CallOptions = {}) =>
  (await workspace.failure(tool, args, options)) as ToolError

const FAILING_JS =
  "import test from 'node:test'\nimport assert from 'node:assert'\ntest('is wrong', () => assert.equal(1, 2))\ntest('is right', () => {})\n"
const FAILING_PY = 'def test_bad():\n    assert 1 == 2\n\n\ndef test_good():\n    pass\n'
const FAILING_GO =
  'package main\n\nimport "testing"\n\nfunc TestBad(t *testing.T) { t.Error("no") }\n\nfunc TestGood(t *testing.T) {}\n'
const FAILING_RS = '#[test]\nfn bad() {\n    assert_eq!(1, 2);\n}\n\n#[test]\nfn good() {}\n'

describe('repo.test_file', () => {
  it('node: the whole file, and what matches', async (context) => {
    await needsProgram(context, workspace, testFile, 'npm', '--version')
    await workspace.plant({ ...PROJECTS.node, 'bad.test.js': FAILING_JS })
    expect(await succeed(testFile, { path: 'sum.test.js' })).toMatchObject({
      path: 'sum.test.js',
      command: 'node --test ./sum.test.js',
      passed: true,
      exit_code: 0,
    })
    expect(await succeed(testFile, { path: '/session/code/bad.test.js' })).toMatchObject({
      path: 'bad.test.js',
      passed: false,
      exit_code: 1,
      output: expect.stringContaining('is wrong'),
    })
    expect(await succeed(testFile, { path: 'bad.test.js', pattern: 'right' })).toMatchObject({ passed: true })
    expect(await fail(testFile, { path: 'bad.test.js', pattern: 'nothing' })).toMatchObject({ code: 'execution_failed' })
  })

  it('typescript: by the runner that the project names', async (context) => {
    await needsProgram(context, workspace, testFile, 'npm', '--version')
    await workspace.plant({
      'package.json': '{"type":"module","scripts":{"test":"vitest run"}}',
      'src/a.test.ts':
        "import { expect, test } from 'vitest'\ntest('bad', () => { expect<number>(1).toBe(2) })\ntest('good', () => {})\n",
    })
    linkNodeModules(context, workspace, 'vitest')
    expect(await succeed(testFile, { path: 'src/a.test.ts' })).toMatchObject({
      command: 'node_modules/.bin/vitest run src/a.test.ts',
      passed: false,
    })
    expect(await succeed(testFile, { path: 'src/a.test.ts', pattern: 'good' })).toMatchObject({ passed: true })
  })

  it('python: pytest, and unittest where it is not installed', async (context) => {
    await needsProgram(context, workspace, testFile, 'python3', '-c', 'import pytest')
    await workspace.plant({ 'pytest.ini': '[pytest]\n', 'tests/test_x.py': FAILING_PY })
    expect(await succeed(testFile, { path: 'tests/test_x.py' })).toMatchObject({
      command: 'python3 -m pytest tests/test_x.py',
      passed: false,
    })
    expect(await succeed(testFile, { path: 'tests/test_x.py', pattern: 'good' })).toMatchObject({ passed: true })
    expect(await fail(testFile, { path: 'tests/test_x.py', pattern: 'nothing' })).toMatchObject({
      code: 'execution_failed',
      output: { exit_code: 5, passed: false },
    })
    const venv = '#!/bin/sh\n[ "$1 $2" = "-c import pytest" ] && exit 1\nexec python3 "$@"\n'
    await workspace.plant({
      '.workspace-venv/bin/python3*': venv,
      'test_u.py': 'import unittest\n\n\nclass TestU(unittest.TestCase):\n    def test_u(self):\n        pass\n',
    })
    expect(await succeed(testFile, { path: 'test_u.py' })).toMatchObject({
      command: '.workspace-venv/bin/python3 -m unittest -v test_u.py',
      passed: true,
    })
  })

  it('go: only the tests of this file', { timeout: 120_000 }, async (context) => {
    await needsProgram(context, workspace, testFile, 'go', 'version')
    await workspace.plant({ ...PROJECTS.go, 'bad_test.go': FAILING_GO })
    expect(await succeed(testFile, { path: 'main_test.go' })).toMatchObject({
      command: 'go test -json -run=^(?:TestSum)$ ./',
      passed: true,
      output: expect.stringContaining('--- PASS: TestSum'),
    })
    expect(await succeed(testFile, { path: 'bad_test.go' })).toMatchObject({ passed: false, exit_code: 1 })
    expect(await succeed(testFile, { path: 'bad_test.go', pattern: 'TestGood' })).toMatchObject({ passed: true })
    expect(await fail(testFile, { path: 'main.go' })).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('holds no test'),
    })
    expect(await fail(testFile, { path: 'bad_test.go', pattern: 'Nothing' })).toMatchObject({ code: 'execution_failed' })
  })

  it('rust: integration tests, modules, and packages below the root', { timeout: 120_000 }, async (context) => {
    await needsProgram(context, workspace, testFile, 'cargo', '--version')
    await workspace.plant({
      ...PROJECTS.rust,
      'tests/whole.rs': FAILING_RS,
      'src/part.rs': '#[cfg(test)]\nmod tests {\n    #[test]\n    fn inner() {}\n}\n',
      'src/main.rs': `mod part;\n${PROJECTS.rust['src/main.rs']}`,
    })
    expect(await succeed(testFile, { path: 'tests/whole.rs' })).toMatchObject({
      command: 'cargo test --offline --no-fail-fast --test whole',
      passed: false,
      exit_code: 101,
    })
    expect(await succeed(testFile, { path: 'tests/whole.rs', pattern: 'good' })).toMatchObject({ passed: true })
    expect(await succeed(testFile, { path: 'src/part.rs' })).toMatchObject({
      command: 'cargo test --offline --no-fail-fast -- part::',
      passed: true,
      output: expect.stringContaining('part::tests::inner'),
    })
    expect(await fail(testFile, { path: 'src/part.rs', pattern: 'nothing' })).toMatchObject({ code: 'execution_failed' })
    await workspace.plant({ 'loose.rs': '' })
    expect(await fail(testFile, { path: 'loose.rs' })).toMatchObject({ code: 'invalid_argument' })
  })

  it('ends at timeout_seconds with what came', async () => {
    await workspace.plant({ 'x.test.js': "console.log('begun')\nsetInterval(() => {}, 1000)\n" })
    const error = await fail(testFile, { path: 'x.test.js', timeout_seconds: 2 })
    expect(error).toMatchObject({ code: 'timeout', exitCode: 124, output: { passed: false, path: 'x.test.js' } })
    expect(testFile.output.strict().safeParse(error.output)).toMatchObject({ success: true })
  })

  it('says what is wrong with a path', async () => {
    await workspace.plant({ 'a.txt': '', 'dir.py/x': '', '../data/kept.py': '' })
    symlinkSync('/etc/passwd', join(workspace.code, 'link.py'))
    symlinkSync('../secrets/API_TOKEN', join(workspace.code, 'secret.py'))
    const code = async (path: string) => (await fail(testFile, { path })).code
    expect(await code('a.txt')).toBe('invalid_argument')
    expect(await code('nowhere.py')).toBe('not_found')
    expect(await code('dir.py')).toBe('invalid_argument')
    expect(await code('/session/data/kept.py')).toBe('invalid_argument')
    for (const path of ['link.py', 'secret.py', '../x.py', '/etc/x.py', '/session/secrets/x.py'])
      expect(await code(path), path).toBe('policy_denied')
  })

  it('needs an approval, and refuses by its schema what would be an option or no deadline', () => {
    expect(testFile.metadata).toMatchObject({ requires_approval: true, policy: { paths: [{ field: 'path', access: 'read' }] } })
    for (const wrong of [
      {},
      { path: '' },
      { path: 1 },
      { path: 'a.py', pattern: '-x' },
      { path: 'a.py', pattern: '' },
      { path: 'a.py', timeout_seconds: 0 },
      { path: 'a.py', timeout_seconds: 601 },
      { path: 'a.py', timeout_seconds: 1.5 },
      { path: 'a.py', other: 1 },
    ])
      expect(testFile.input.safeParse(wrong).success, JSON.stringify(wrong)).toBe(false)
  })
})

describe('repo.test_failures_summary', () => {
  it.for<[string, Record<string, string>, string[], object]>([
    [
      'python',
      { 'pytest.ini': '[pytest]\n', 'test_x.py': FAILING_PY },
      ['python3', '-c', 'import pytest'],
      { name: 'test_x.py::test_bad', kind: 'python' },
    ],
    [
      'node',
      { ...PROJECTS.node, 'bad.test.js': FAILING_JS },
      ['npm', '--version'],
      { name: 'bad.test.js > is wrong', kind: 'node' },
    ],
    ['go', { ...PROJECTS.go, 'bad_test.go': FAILING_GO }, ['go', 'version'], { name: 'example.com/demo.TestBad', kind: 'go' }],
    ['rust', { ...PROJECTS.rust, 'tests/whole.rs': FAILING_RS }, ['cargo', '--version'], { name: 'bad', kind: 'rust' }],
  ])('runs the tests of %s and says which fail', { timeout: 120_000 }, async ([type, files, needed, failed], context) => {
    await needsProgram(context, workspace, testFile, ...needed)
    await workspace.plant(files)
    const output = await succeed(testFailuresSummary)
    expect(output).toMatchObject({ project_type: type, source: 'test_run', failed_count: 1, failed_tests: [failed] })
    const [{ line }] = output['failed_tests'] as [{ line: number }]
    expect((output['output'] as string).split('\n')[line - 1]).toMatch(/bad|Bad|wrong/)
    expect(output['output_excerpt']).toMatch(/bad|Bad|wrong/)
    expect(output['summary']).toMatch(/: 1 failed, \d passed, 0 skipped: /)
    expect(output['exit_code']).toBeGreaterThan(0)
  })

  it('tells a package that cannot be built from a test', { timeout: 60_000 }, async (context) => {
    await needsProgram(context, workspace, testFile, 'go', 'version')
    await workspace.plant({ ...PROJECTS.go, 'bad_test.go': 'package main\n\nvar x int = "no"\n' })
    const report = { failed_tests: [{ kind: 'package' }], diagnostics: [{ path: 'bad_test.go', line: 3 }] }
    // Without any test that ran it is no failure of tests, and says so.
    expect(await fail(testFailuresSummary)).toMatchObject({ code: 'execution_failed', output: report })
    expect(await fail(testFile, { path: 'main_test.go' })).toMatchObject({ code: 'execution_failed', output: { passed: false } })
    await workspace.plant({ 'other/other_test.go': FAILING_GO.replace('package main', 'package other') })
    expect(await succeed(testFailuresSummary)).toMatchObject({
      failed_tests: expect.arrayContaining([...report.failed_tests.map((each) => expect.objectContaining(each))]),
      diagnostics: expect.arrayContaining([expect.objectContaining(report.diagnostics[0])]),
    })
  })

  it('says that nothing fails', async (context) => {
    await needsProgram(context, workspace, testFile, 'npm', '--version')
    await workspace.plant(PROJECTS.node)
    expect(await succeed(testFailuresSummary)).toMatchObject({ failed_count: 0, failed_tests: [], diagnostics: [], exit_code: 0 })
  })

  it('reads what it is given and runs nothing', async () => {
    await workspace.plant({ 'package.json': '{"scripts":{"test":"touch ran"}}' })
    const lines = Array.from({ length: 40 }, (_, n) => `FAILED test_x.py::test_${n} - assert 0`)
    const output = ['=== short test summary info ===', ...lines, '=== 40 failed, 2 passed in 0.12s ==='].join('\n')
    expect(await succeed(testFailuresSummary, { output })).toMatchObject({
      source: 'provided_output',
      command: [],
      exit_code: null,
      failed_count: 40,
      summary: expect.stringContaining('pytest: 40 failed, 2 passed'),
      output,
    })
    const { failed_tests } = await succeed(testFailuresSummary, { output, max_failures: 3 })
    expect(failed_tests).toEqual([0, 1, 2].map((n) => ({ name: `test_x.py::test_${n}`, kind: 'python', line: n + 2 })))
    const errors = Array.from({ length: 9 }, (_, n) => `src/a${n}.c:3:5: error: no`).join('\n')
    const { diagnostics } = await succeed(testFailuresSummary, { output: errors, max_diagnostics: 4 })
    expect(diagnostics).toHaveLength(4)
    expect(await succeed(testFailuresSummary, { output: '' })).toMatchObject({
      failed_count: null,
      summary: 'No report of a known test runner was found.',
    })
    expect(workspace.output.join('')).not.toContain('touch')
  })

  it('is an error where the tests could not be run, with the output', async () => {
    await workspace.plant({ 'package.json': '{}' })
    const error = await fail(testFailuresSummary)
    expect(error).toMatchObject({ code: 'execution_failed', output: { failed_count: null, source: 'test_run' } })
    expect(testFailuresSummary.output.strict().safeParse(error.output)).toMatchObject({ success: true })
  })
})

describe('repo.stacktrace_summary', () => {
  it('finds the panic of a run', { timeout: 60_000 }, async (context) => {
    await needsProgram(context, workspace, testFile, 'go', 'version')
    await workspace.plant({
      ...PROJECTS.go,
      'bad_test.go': 'package main\n\nimport "testing"\n\nfunc TestBad(t *testing.T) { var m map[string]int; m["a"] = 1 }\n',
    })
    const { stacktraces, ...rest } = await succeed(stacktraceSummary)
    expect(rest).toMatchObject({ project_type: 'go', source: 'test_run', exit_code: 1 })
    expect(stacktraces).toContainEqual({
      type: 'panic',
      message: 'assignment to entry in nil map',
      frames: expect.arrayContaining([expect.stringMatching(/TestBad \(.*bad_test\.go:5\)$/)]),
      frame_count: expect.any(Number),
    })
  })

  it('finds what pytest and the interpreter print', async (context) => {
    await needsProgram(context, workspace, testFile, 'python3', '-c', 'import pytest')
    await workspace.plant({ 'pytest.ini': '[pytest]\n', 'test_x.py': FAILING_PY })
    expect(await succeed(stacktraceSummary)).toMatchObject({
      trace_count: 1,
      stacktraces: [{ type: 'python_traceback', message: 'assert 1 == 2', frames: ['test_x.py:2'] }],
    })
  })

  it('keeps to its limits, and reads what it is given', async () => {
    const frames = Array.from({ length: 30 }, (_, n) => `    at f${n} (/x/a.js:${n}:1)`)
    const trace = ['TypeError: no', ...frames].join('\n')
    const output = await succeed(stacktraceSummary, { output: `${trace}\n\n${trace}\n\n${trace}`, max_traces: 2, max_frames: 4 })
    expect(output).toEqual({
      project_type: 'unknown',
      source: 'provided_output',
      command: [],
      exit_code: null,
      trace_count: 3,
      stacktraces: Array.from({ length: 2 }, () => ({
        type: 'stack_trace',
        message: 'TypeError: no',
        frames: [0, 1, 2, 3].map((n) => `f${n} (/x/a.js:${n}:1)`),
        frame_count: 30,
      })),
    })
    expect(await succeed(stacktraceSummary, { output: 'all is well' })).toMatchObject({ trace_count: 0, stacktraces: [] })
  })
})

describe.each([
  ['repo.test_failures_summary', testFailuresSummary],
  ['repo.stacktrace_summary', stacktraceSummary],
])('%s', (_, tool) => {
  it.each([
    { output: 1 },
    { output: 'x'.repeat(1024 * 1024 + 1) },
    { target: '-x' },
    { extra_args: ['x'.repeat(65)] },
    { max_failures: 0, max_traces: 0 },
    { max_failures: 201, max_traces: 51 },
    { max_diagnostics: 201, max_frames: 81 },
    { other: 1 },
  ])('refuses by its schema', (args) => {
    expect(tool.input.safeParse(args).success).toBe(false)
  })

  it('asks for no approval, needs the whole workspace, takes only what is listed, and follows no link out', async () => {
    expect(tool.metadata).toMatchObject({ requires_approval: false, policy: { whole_repository: true } })
    await workspace.plant({ 'go.mod': 'module x\n' })
    symlinkSync('/etc', join(workspace.code, 'link'))
    expect(await fail(tool, { output: '' }, { allowed_paths: ['src'] })).toMatchObject({ code: 'policy_denied' })
    expect(await fail(tool, { extra_args: ['-exec=x'] })).toMatchObject({ code: 'policy_denied' })
    for (const target of ['../x', '/etc', 'link', 'link/passwd', '/session/secrets'])
      expect(await fail(tool, { target }), target).toMatchObject({ code: 'policy_denied' })
  })

  it('is cut off at its deadline with what came', async () => {
    await workspace.plant({ 'package.json': '{"scripts":{"test":"echo begun; sleep 60"}}' })
    const error = await fail(tool, {}, { timeout_seconds: 2 })
    expect(error).toMatchObject({ code: 'timeout', output: { source: 'test_run', exit_code: 124 } })
    expect(tool.output.strict().safeParse(error.output)).toMatchObject({ success: true })
  })
})
