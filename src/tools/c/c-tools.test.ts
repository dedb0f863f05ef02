import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { needsProgram } from '../../../test/support/sandbox-programs.ts'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import type { ToolError } from '../../domain/errors.ts'
import build from './build.ts'
import test from './test.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const main = (body: string) => `#include <stdio.h>\nint main(void) { ${body} }\n`
const fail = async (tool: Tool, args: Record<string, unknown> = {}, options = {}) =>
  (await workspace.failure(tool, args, options)) as ToolError

describe('c.build', () => {
  it('compiles one source, or all of them together', async (context) => {
    await needsProgram(context, workspace, build, 'cc', '--version')
    await workspace.plant({
      'main.c': '#include "src/add.h"\nint main(void) { int unused; return add(1, -1); }\n',
      'src/add.h': 'int add(int a, int b);\n',
      'src/add.c': 'int add(int a, int b) { return a + b; }\n',
    })
    const { output, artifacts } = await workspace.call(build)
    expect(output).toMatchObject({
      command: ['cc', '-Wall', '-Wextra', '-std=c11', '-I.', '-o', '.workspace-dist/c-app', './main.c', './src/add.c'],
      exit_code: 0,
      compiled_binary_path: '.workspace-dist/c-app',
      diagnostics: [{ path: 'main.c', line: 2, severity: 'warning' }],
    })
    expect(artifacts?.[0]).toMatchObject({ name: 'build-output.txt', content: output['output'] })
    expect(existsSync(join(workspace.code, '.workspace-dist/c-app'))).toBe(true)
    expect(await fail(build, { source: 'src/add.c' })).toMatchObject({
      code: 'execution_failed',
      output: { compiled_binary_path: null },
    })
    await workspace.plant({ '-o evil.c': main('return 0;'), 'own.c': main('return 0;') })
    expect((await workspace.call(build, { source: 'own.c', output_name: 'own' })).output).toMatchObject({
      compiled_binary_path: '.workspace-dist/own',
    })
  })

  it('says what is wrong', async (context) => {
    await needsProgram(context, workspace, build, 'cc', '--version')
    expect(await fail(build)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no C source') })
    await workspace.plant({ 'bad.c': main('return x;'), 'notes.txt': '', 'dir.c/x': '' })
    const error = await fail(build, { source: 'bad.c' })
    expect(error).toMatchObject({ code: 'execution_failed', exitCode: 1, message: expect.stringContaining('bad.c:2') })
    expect(error.output).toMatchObject({
      diagnostics: expect.arrayContaining([expect.objectContaining({ path: 'bad.c', line: 2, severity: 'error' })]),
    })
    expect(build.output.strict().safeParse(error.output).success).toBe(true)
    for (const source of ['notes.txt', 'dir.c']) expect(await fail(build, { source })).toMatchObject({ code: 'invalid_argument' })
  })

  it.each(['c89', 'c99', 'c11', 'c17', 'c23'])('knows %s', async (standard) => {
    await workspace.plant({
      'main.c': '#include <stdio.h>\nint main(void) { printf("%ld\\n", (long)__STDC_VERSION__); return 0; }\n'.replace(
        '__STDC_VERSION__',
        standard === 'c89' ? '0' : '__STDC_VERSION__',
      ),
    })
    expect((await workspace.call(test, { standard })).output).toMatchObject({ exit_code: 0 })
  })

  itWithstandsAttacks(() => workspace, {
    tool: build,
    project: { 'main.c': main('return 0;') },
    path: 'source',
    extension: '.c',
    refused: [
      { source: '-fplugin=evil.c' },
      { output_name: '../x' },
      { output_name: '/tmp/x' },
      { output_name: '' },
      { standard: 'gnu99' },
      { standard: 'c11 -fplugin=x' },
    ],
  })
})

describe('c.test', () => {
  it('runs what it compiled', async (context) => {
    await needsProgram(context, workspace, test, 'cc', '--version')
    await workspace.plant({ 'check.c': main('puts("all fine"); return 0;') })
    expect((await workspace.call(test)).output).toMatchObject({
      command: ['./.workspace-dist/c-test'],
      exit_code: 0,
      compiled_binary_path: '.workspace-dist/c-test',
      output: 'all fine\n',
      passed: null,
    })
    await workspace.plant({ 'check.c': main('puts("1 is not 2"); return 3;') })
    const error = await fail(test, { source: 'check.c' })
    expect(error).toMatchObject({ code: 'tests_failed', exitCode: 3, output: { exit_code: 3, output: '1 is not 2\n' } })
    expect(test.output.strict().safeParse(error.output).success).toBe(true)
    expect((await workspace.call(test, { run: false })).output).toMatchObject({ exit_code: 0, output: '' })
  })

  it('tells a program that crashes, or never ends, from one that says no', async (context) => {
    await needsProgram(context, workspace, test, 'cc', '--version')
    await workspace.plant({ 'check.c': main('return') })
    expect(await fail(test)).toMatchObject({ code: 'execution_failed', exitCode: 1 })
    await workspace.plant({ 'check.c': '#include <stdlib.h>\nint main(void) { abort(); }\n' })
    expect(await fail(test)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('SIGABRT') })
    await workspace.plant({ 'check.c': main('puts("begun"); fflush(stdout); for (;;) {} return 0;') })
    expect(await fail(test, {}, { timeout_seconds: 3 })).toMatchObject({
      code: 'timeout',
      exitCode: 124,
      output: { output: 'begun\n' },
    })
  })

  itWithstandsAttacks(() => workspace, {
    tool: test,
    project: { 'main.c': main('return 0;') },
    path: 'source',
    extension: '.c',
    refused: [{ run: 'no' }, { source: 3 }],
  })
})
