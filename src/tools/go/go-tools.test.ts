import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { needsProgram } from '../../../test/support/sandbox-programs.ts'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import type { ToolError } from '../../domain/errors.ts'
import build from './build.ts'
import generate from './generate.ts'
import tidy from './mod.tidy.ts'
import test from './test.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const mod = 'module example.com/demo\n\ngo 1.19\n'
const main = 'package main\n\nfunc main() { println("hello") }\n'
const fail = async (tool: Tool, args: Record<string, unknown> = {}, options = {}) =>
  (await workspace.failure(tool, args, options)) as ToolError
const there = (name: string) => existsSync(join(workspace.code, name))

describe('go.build', { timeout: 240_000 }, () => {
  it('builds one program, several, or none', async (context) => {
    await needsProgram(context, workspace, build, 'go', 'version')
    await workspace.plant({ 'go.mod': mod, 'main.go': main, 'lib/lib.go': 'package lib\n' })
    const { output, artifacts } = await workspace.call(build)
    expect(output).toMatchObject({
      command: ['go', 'build', '-o', '.workspace-dist/app', workspace.inside('.')],
      exit_code: 0,
      compiled_binary_path: '.workspace-dist/app',
      diagnostics: [],
    })
    expect(artifacts?.[0]?.name).toBe('build-output.txt')
    expect(there('.workspace-dist/app')).toBe(true)
    const small = { target: '.', output_name: 'small', ldflags: '-s -w' }
    expect((await workspace.call(build, small)).output).toMatchObject({ compiled_binary_path: '.workspace-dist/small' })
    expect((await workspace.call(build, { target: 'lib' })).output).toMatchObject({ compiled_binary_path: null, exit_code: 0 })
    await workspace.plant({ 'cmd/two/main.go': main })
    expect((await workspace.call(build, { target: './...' })).output).toMatchObject({ compiled_binary_path: null, exit_code: 0 })
    expect([there('.workspace-dist/demo'), there('.workspace-dist/two'), there('demo')]).toEqual([true, true, false])
    for (const [target, programs] of [
      ['./...', 2],
      ['lib', 0],
    ])
      expect(await fail(build, { target, output_name: 'x' })).toMatchObject({
        code: 'invalid_argument',
        message: expect.stringContaining(`has ${programs}`),
      })
  })

  it('says what does not compile, and what is missing', async (context) => {
    await needsProgram(context, workspace, build, 'go', 'version')
    expect(await fail(build)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no go.mod') })
    await workspace.plant({ 'go.mod': mod, 'main.go': 'package main\n\nfunc main() { missing() }\n' })
    const error = await fail(build)
    expect(error).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('main.go:3: undefined: missing') })
    expect(error.output).toMatchObject({
      compiled_binary_path: null,
      diagnostics: [{ path: 'main.go', line: 3, severity: 'error' }],
    })
    expect(build.output.strict().safeParse(error.output).success).toBe(true)
    await workspace.plant({ 'main.go': 'package main\n\nimport _ "example.com/elsewhere"\n\nfunc main() {}\n' })
    expect(await fail(build)).toMatchObject({
      code: 'execution_failed',
      output: { output: expect.stringContaining('example.com/elsewhere') },
    })
  })

  it('takes a target for a directory and never for an import path', async (context) => {
    await needsProgram(context, workspace, build, 'go', 'version')
    await workspace.plant({ 'go.mod': mod, 'fmt/fmt.go': 'package fmt\n' })
    expect((await workspace.call(build, { target: 'fmt' })).output['command']).toContain('./fmt')
    expect(await fail(build, { target: 'net/http' })).toMatchObject({ code: 'not_found' })
    expect(await fail(build, { target: '../...' })).toMatchObject({ code: 'policy_denied' })
  })

  itWithstandsAttacks(() => workspace, {
    tool: build,
    project: { 'go.mod': mod },
    path: 'target',
    refused: [
      { target: '-toolexec=evil' },
      { ldflags: '-X main.x=y' },
      { ldflags: '-s -w -extld=evil' },
      { ldflags: '' },
      { output_name: '../x' },
      { output_name: '-x' },
      { output_name: '.gitignore' },
      { output_name: 'x'.repeat(121) },
      { race: 1 },
    ],
  })
})

describe('go.test', { timeout: 240_000 }, () => {
  const lib = 'package demo\n\nfunc One() int { return 1 }\n\nfunc Two() int { return 2 }\n'
  const tests = (body: string) =>
    `package demo\n\nimport "testing"\n\nfunc TestOne(t *testing.T) { ${body} }\n\nfunc TestLater(t *testing.T) { t.Skip() }\n`

  it('runs the tests, with coverage', async (context) => {
    await needsProgram(context, workspace, test, 'go', 'version')
    await workspace.plant({ 'go.mod': mod, 'lib.go': lib, 'lib_test.go': tests('One()') })
    const { output } = await workspace.call(test, { coverage: true })
    expect(output).toMatchObject({ runner: 'go test', passed: 1, failed: 0, skipped: 1, coverage_percent: 50 })
    expect(output['output']).toMatch(/^=== RUN/)
    expect((await workspace.call(test, { run_pattern: '^TestLater$' })).output).toMatchObject({
      passed: 0,
      skipped: 1,
      coverage_percent: null,
    })
    await workspace.plant({ 'lib_test.go': tests('t.Error("no")') })
    const error = await fail(test, { package: '.' })
    expect(error).toMatchObject({
      code: 'tests_failed',
      exitCode: 1,
      output: { failed: 1, failed_tests: ['example.com/demo.TestOne'] },
    })
    expect(error.artifacts[0]?.content).toBe(error.output?.['output'])
    expect(test.output.strict().safeParse(error.output).success).toBe(true)
  })

  it('says by execution_failed and in the words of the compiler that nothing was built', async (context) => {
    await needsProgram(context, workspace, test, 'go', 'version')
    await workspace.plant({ 'go.mod': mod, 'lib.go': lib, 'lib_test.go': tests('One() + no') })
    const error = await fail(test)
    expect(error).toMatchObject({
      code: 'execution_failed',
      message: expect.stringMatching(/lib_test\.go:5: .*undefined: no/),
      output: { failed: 1, failed_tests: ['example.com/demo [build failed]'], diagnostics: [{ path: 'lib_test.go', line: 5 }] },
    })
    expect(test.output.strict().safeParse(error.output).success).toBe(true)
    await workspace.plant({ 'other/other.go': 'package other\n', 'other/other_test.go': 'package other\n' })
    expect(await fail(test), 'a package without tests').toMatchObject({ code: 'execution_failed' })
    await workspace.plant({ 'other/other_test.go': tests('').replace('demo', 'other') })
    expect(await fail(test), 'one that runs').toMatchObject({ code: 'tests_failed', output: { failed: 1, passed: 1 } })
  })

  it('does not take a pattern for an option', async (context) => {
    await needsProgram(context, workspace, test, 'go', 'version')
    await workspace.plant({ 'go.mod': mod, 'lib.go': lib, 'lib_test.go': tests('') })
    const { output } = await workspace.call(test, { run_pattern: '-exec=/bin/false' })
    expect(output).toMatchObject({ command: expect.arrayContaining(['-run=-exec=/bin/false']), passed: 0, failed: 0 })
  })

  itWithstandsAttacks(() => workspace, {
    tool: test,
    project: { 'go.mod': mod },
    path: 'package',
    refused: [{ package: '-exec=x' }, { run_pattern: 'x'.repeat(513) }, { run_pattern: '' }, { coverage: 'yes' }],
  })
})

describe('go.generate', { timeout: 240_000 }, () => {
  it('runs what the sources say, and says when it fails', async (context) => {
    await needsProgram(context, workspace, generate, 'go', 'version')
    const source = (command: string) => `package demo\n\n//go:generate ${command}\n`
    await workspace.plant({ 'go.mod': mod, 'a.go': source('touch made.txt') })
    expect((await workspace.call(generate)).output).toMatchObject({ exit_code: 0, output: expect.stringContaining('a.go') })
    expect(there('made.txt')).toBe(true)
    await workspace.plant({ 'a.go': source('false') })
    expect(await fail(generate, { target: '.' })).toMatchObject({
      code: 'execution_failed',
      exitCode: 1,
      message: expect.stringContaining('a.go:3'),
    })
    await workspace.clear()
    expect(await fail(generate)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no go.mod') })
  })

  itWithstandsAttacks(() => workspace, {
    tool: generate,
    project: { 'go.mod': mod },
    path: 'target',
    refused: [{ target: '-run=x' }, { target: true }],
  })
})

describe('go.mod.tidy', { timeout: 240_000 }, () => {
  const untidy = `${mod}\nrequire example.com/unused v1.0.0\n`

  it('only says what is not tidy when it is to check, and tidies when it is not', async (context) => {
    await needsProgram(context, workspace, tidy, 'go', 'version')
    await workspace.plant({ 'go.mod': untidy, 'main.go': main })
    const error = await fail(tidy, { check: true })
    expect(error).toMatchObject({
      code: 'execution_failed',
      exitCode: 1,
      output: { output: expect.stringContaining('-require example.com/unused') },
    })
    expect(readFileSync(join(workspace.code, 'go.mod'), 'utf8')).toBe(untidy)
    expect((await workspace.call(tidy)).output).toMatchObject({ command: ['go', 'mod', 'tidy'], exit_code: 0 })
    expect(readFileSync(join(workspace.code, 'go.mod'), 'utf8')).toBe(mod)
    expect((await workspace.call(tidy, { check: true })).output).toMatchObject({ exit_code: 0, output: '' })
    await workspace.plant({ 'go.sum': 'example.com/old v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n' })
    expect(await fail(tidy, { check: true })).toMatchObject({
      code: 'execution_failed',
      output: { output: expect.stringContaining('-example.com/old') },
    })
  })

  it('says what is missing', async (context) => {
    await needsProgram(context, workspace, tidy, 'go', 'version')
    expect(await fail(tidy)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no go.mod') })
    await workspace.plant({ 'go.mod': mod, 'main.go': 'package main\n\nimport _ "example.com/elsewhere"\n\nfunc main() {}\n' })
    for (const check of [true, false])
      expect(await fail(tidy, { check })).toMatchObject({
        code: 'execution_failed',
        output: { output: expect.stringContaining('example.com/elsewhere') },
      })
  })

  it('does not copy what a link leads to', async () => {
    symlinkSync('/etc/passwd', join(workspace.code, 'go.mod'))
    expect(await fail(tidy, { check: true })).toMatchObject({ code: 'policy_denied' })
  })

  itWithstandsAttacks(() => workspace, { tool: tidy, project: { 'go.mod': mod }, refused: [{ check: 'yes' }, { target: '.' }] })
})
