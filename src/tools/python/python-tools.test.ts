import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { needsProgram } from '../../../test/support/sandbox-programs.ts'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import type { ToolError } from '../../domain/errors.ts'
import installDeps from './install_deps.ts'
import test from './test.ts'
import validate from './validate.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const fail = async (tool: Tool, args: Record<string, unknown> = {}, options = {}) =>
  (await workspace.failure(tool, args, options)) as ToolError
const there = (name: string) => existsSync(join(workspace.code, name))

describe('python.validate', () => {
  it('accepts what is Python, and leaves nothing behind', async () => {
    await workspace.plant({ 'a.py': 'x = 1\n', 'pkg/b.py': 'def f():\n    return 2\n', 'node_modules/gyp/old.py': 'print 1\n' })
    const { output, artifacts } = await workspace.call(validate)
    expect(output).toMatchObject({ exit_code: 0, diagnostics: [], compiled_binary_path: null })
    expect(artifacts?.[0]?.name).toBe('validate-output.txt')
    expect(readdirSync(workspace.code).sort()).toEqual(['a.py', 'node_modules', 'pkg'])
    expect(readdirSync(join(workspace.code, 'pkg'))).toEqual(['b.py'])
  })

  it('finds what is not, every time it is asked', async () => {
    await workspace.plant({ 'pkg/bad.py': 'x = 1\ndef (:\n', 'good.py': 'x = 1\n' })
    for (const target of ['.', 'pkg', 'pkg/bad.py']) {
      const error = await fail(validate, { target })
      expect(error).toMatchObject({
        code: 'execution_failed',
        exitCode: 1,
        message: expect.stringContaining('pkg/bad.py:2: invalid syntax'),
        output: { diagnostics: [{ path: 'pkg/bad.py', line: 2, severity: 'error', code: 'SyntaxError' }] },
      })
      expect(validate.output.strict().safeParse(error.output).success).toBe(true)
    }
    expect((await workspace.call(validate, { target: 'good.py' })).output).toMatchObject({ exit_code: 0 })
  })

  itWithstandsAttacks(() => workspace, {
    tool: validate,
    project: { 'a.py': '' },
    path: 'target',
    refused: [{ target: '-c' }, { target: 7 }, { target: '' }],
  })
})

describe('python.test', () => {
  const tests = 'import pytest\n\ndef test_good():\n    pass\n\n@pytest.mark.skip\ndef test_later():\n    pass\n'
  const bad = 'def test_one():\n    assert 1 == 2\n\ndef test_two():\n    assert False\n'

  it('runs pytest, passing and failing', async (context) => {
    await needsProgram(context, workspace, test, 'python3', '-c', 'import pytest')
    await workspace.plant({ 'tests/test_x.py': tests })
    expect((await workspace.call(test)).output).toMatchObject({
      command: ['python3', '-m', 'pytest', '-q', '--maxfail=1'],
      runner: 'pytest',
      passed: 1,
      failed: 0,
      skipped: 1,
    })
    await workspace.plant({ 'tests/test_y.py': bad })
    const error = await fail(test)
    expect(error).toMatchObject({
      code: 'tests_failed',
      exitCode: 1,
      output: { failed: 1, failed_tests: ['tests/test_y.py::test_one'] },
    })
    expect(error.artifacts[0]).toMatchObject({ name: 'test-output.txt', content: error.output?.['output'] })
    expect(test.output.strict().safeParse(error.output).success).toBe(true)
    expect(await fail(test, { max_fail: 5 })).toMatchObject({ output: { failed: 2 } })
    expect((await workspace.call(test, { run_pattern: 'good or later' })).output).toMatchObject({ passed: 1, failed: 0 })
    expect((await workspace.call(test, { target: 'tests/test_x.py::test_good' })).output).toMatchObject({ passed: 1, skipped: 0 })
    expect(await fail(test, { target: 'tests/test_y.py::test_two' })).toMatchObject({
      output: { failed_tests: ['tests/test_y.py::test_two'] },
    })
  })

  it('tells apart what could not be run', async (context) => {
    await needsProgram(context, workspace, test, 'python3', '-c', 'import pytest')
    expect(await fail(test)).toMatchObject({ code: 'execution_failed', exitCode: 5 })
    await workspace.plant({ 'test_x.py': tests })
    expect(await fail(test, { target: 'test_x.py::test_missing' })).toMatchObject({ code: 'execution_failed', exitCode: 4 })
    expect(await fail(test, { run_pattern: '--co (' })).toMatchObject({ code: 'execution_failed' })
    await workspace.plant({ 'broken.py': 'def add(a, b)\n    return a + b\n', 'test_x.py': `import broken\n\n${tests}` })
    expect(await fail(test)).toMatchObject({
      code: 'execution_failed',
      exitCode: 2,
      message: expect.stringMatching(/broken\.py:1: .*expected ':'|broken\.py:1: invalid syntax/),
      output: { passed: 0, failed: 1, failed_tests: ['test_x.py'] },
    })
    await workspace.plant({ '.workspace-venv/bin/python3*': '#!/bin/sh\nexit 1\n' })
    expect(await fail(test)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('python.install_deps') })
  })

  itWithstandsAttacks(() => workspace, {
    tool: test,
    project: { 'test_x.py': tests },
    path: 'target',
    refused: [
      { target: '-p evil' },
      { run_pattern: 'x'.repeat(257) },
      { run_pattern: '' },
      { max_fail: 0 },
      { max_fail: 21 },
      { max_fail: '1' },
    ],
  })
})

describe('python.install_deps', { timeout: 240_000 }, () => {
  /** A wheel made by hand: no index is reached here. */
  const wheel = () => {
    const script = `import sys, zipfile
w = zipfile.ZipFile(sys.argv[1], 'w')
w.writestr('demo_pkg.py', 'ANSWER = 42\\n')
w.writestr('demo_pkg-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: demo-pkg\\nVersion: 1.0\\n')
w.writestr('demo_pkg-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
w.writestr('demo_pkg-1.0.dist-info/RECORD', '')
w.close()`
    execFileSync('python3', ['-c', script, join(workspace.code, 'wheels/demo_pkg-1.0-py3-none-any.whl')])
  }
  const venvThere = async (context: Parameters<typeof needsProgram>[0]) =>
    await needsProgram(context, workspace, installDeps, 'python3', '-c', 'import ensurepip')

  it('makes the environment once and installs into it; the tests see it', async (context) => {
    await venvThere(context)
    await workspace.plant({
      'requirements.txt': '--find-links wheels\ndemo-pkg==1.0\n',
      'constraints.txt': 'demo-pkg<2\n',
      'wheels/.keep': '',
      'test_x.py': 'from demo_pkg import ANSWER\n\ndef test_it():\n    assert ANSWER == 42\n',
    })
    wheel()
    const { output, artifacts } = await workspace.call(installDeps, { constraints_file: 'constraints.txt' })
    expect(output).toMatchObject({
      command: [
        '.workspace-venv/bin/python3',
        '-m',
        'pip',
        'install',
        '--requirement',
        'requirements.txt',
        '--constraint',
        'constraints.txt',
      ],
      exit_code: 0,
      output: expect.stringContaining('Successfully installed demo-pkg-1.0'),
    })
    expect(artifacts?.[0]?.name).toBe('install-output.txt')
    expect((await workspace.call(installDeps)).output).toMatchObject({ output: expect.stringContaining('already satisfied') })
    expect((await workspace.call(test)).output).toMatchObject({ passed: 1, failed: 0 })
    execFileSync('git', ['init', '-q'], { cwd: workspace.code })
    const status = execFileSync('git', ['-c', 'safe.directory=*', 'status', '--porcelain'], { cwd: workspace.code }).toString()
    expect(status).not.toContain('.workspace-venv')
    await workspace.plant({ 'requirements.txt': 'is-not-here==1.0\n' })
    const error = await fail(installDeps)
    expect(error).toMatchObject({
      code: 'execution_failed',
      exitCode: 1,
      output: { output: expect.stringContaining('is-not-here') },
    })
    expect(installDeps.output.strict().safeParse(error.output).success).toBe(true)
  })

  it('does nothing without a requirements file, and says so', async () => {
    const { output, exit_code } = await workspace.call(installDeps)
    expect(output).toMatchObject({ command: [], exit_code: 0, diagnostics: [{ message: 'no requirements file found' }] })
    expect([exit_code, there('.workspace-venv')]).toEqual([0, false])
  })

  it('says what it does not do', async () => {
    await workspace.plant({ 'requirements.txt': '', 'dir/x': '' })
    expect(await fail(installDeps, { use_venv: false })).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('use_venv'),
    })
    expect(await fail(installDeps, { requirements_file: 'dir' })).toMatchObject({ code: 'invalid_argument' })
    symlinkSync('/tmp', join(workspace.code, '.workspace-venv'))
    expect(await fail(installDeps)).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('not a directory'),
    })
  })

  itWithstandsAttacks(() => workspace, {
    tool: installDeps,
    project: { 'requirements.txt': '' },
    path: 'requirements_file',
    refused: [{ requirements_file: '--index-url=http://evil' }, { constraints_file: '-r' }, { use_venv: 'true' }],
  })
  itWithstandsAttacks(() => workspace, {
    tool: installDeps,
    project: { 'requirements.txt': '' },
    path: 'constraints_file',
    refused: [],
  })
})
