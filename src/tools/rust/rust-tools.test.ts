import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { needsProgram } from '../../../test/support/sandbox-programs.ts'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import type { ToolError } from '../../domain/errors.ts'
import build from './build.ts'
import { cargoFindings, cargoProgram, cargoText } from './cargo-messages.ts'
import clippy from './clippy.ts'
import format from './format.ts'
import test from './test.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const manifest = '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n'
const program = (body: string) => `fn main() {\n    ${body}\n}\n`
const library = (body: string) =>
  `pub fn sum(a: i32, b: i32) -> i32 {\n    a + b\n}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(super::sum(1, 1), ${body});\n    }\n}\n`
const fail = async (tool: Tool, args: Record<string, unknown> = {}, options = {}) =>
  (await workspace.failure(tool, args, options)) as ToolError

describe('rust.build', { timeout: 120_000 }, () => {
  it('builds a program and names it; a warning does no harm', async (context) => {
    await needsProgram(context, workspace, build, 'cargo', '--version')
    await workspace.plant({ 'Cargo.toml': manifest, 'src/main.rs': program('let unused = 1; println!("hello");') })
    const { output, exit_code, artifacts } = await workspace.call(build)
    expect(output).toMatchObject({
      command: ['cargo', 'build', '--message-format=json'],
      exit_code: 0,
      compiled_binary_path: 'target/debug/demo',
      diagnostics: [{ path: 'src/main.rs', line: 2, column: 9, severity: 'warning', code: 'unused_variables' }],
      output: expect.stringMatching(/unused variable[\s\S]*built target\/debug\/demo/),
    })
    expect(output['output']).not.toContain('"reason"')
    expect([exit_code, artifacts?.[0]?.name]).toEqual([0, 'build-output.txt'])
    expect((await workspace.call(build, { release: true, target: 'demo' })).output).toMatchObject({
      compiled_binary_path: 'target/release/demo',
    })
  })

  it('says what does not compile, and what is missing', async (context) => {
    await needsProgram(context, workspace, build, 'cargo', '--version')
    expect(await fail(build)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no Cargo.toml') })
    await workspace.plant({ 'Cargo.toml': manifest, 'src/main.rs': program('let x: i32 = "no";') })
    const error = await fail(build)
    expect(error).toMatchObject({
      code: 'execution_failed',
      exitCode: 101,
      message: expect.stringContaining('src/main.rs:2: mismatched types'),
    })
    expect(error.output).toMatchObject({
      compiled_binary_path: null,
      diagnostics: [{ code: 'E0308', line: 2, severity: 'error' }],
    })
    expect(build.output.strict().safeParse(error.output).success).toBe(true)
    expect(await fail(build, { target: 'other' })).toMatchObject({ code: 'execution_failed' })
    await workspace.plant({ 'Cargo.toml': `${manifest}[dependencies]\nserde = "1"\n` })
    expect(await fail(build)).toMatchObject({ code: 'execution_failed', output: { output: expect.stringContaining('serde') } })
  })

  itWithstandsAttacks(() => workspace, {
    tool: build,
    project: { 'Cargo.toml': manifest },
    refused: [
      { target: '--config=evil' },
      { target: '../x' },
      { target: 'file:///x' },
      { target: 'x'.repeat(65) },
      { release: 'yes' },
    ],
  })
})

describe('rust.test', { timeout: 120_000 }, () => {
  it('runs the tests, passing, failing, and not compiling', async (context) => {
    await needsProgram(context, workspace, test, 'cargo', '--version')
    await workspace.plant({ 'Cargo.toml': manifest, 'src/lib.rs': library('2') })
    expect((await workspace.call(test)).output).toMatchObject({ runner: 'cargo test', passed: 1, failed: 0, failed_tests: [] })
    await workspace.plant({ 'src/lib.rs': library('3') })
    const error = await fail(test, { target: 'demo' })
    expect(error).toMatchObject({ code: 'tests_failed', exitCode: 101, output: { failed: 1, failed_tests: ['tests::adds'] } })
    expect(error.artifacts).toEqual([
      { name: 'test-output.txt', content_type: 'text/plain; charset=utf-8', content: error.output?.['output'] },
    ])
    expect(test.output.strict().safeParse(error.output).success).toBe(true)
    await workspace.plant({ 'src/lib.rs': library('"no"') })
    expect(await fail(test)).toMatchObject({
      code: 'execution_failed',
      output: { failed: null, diagnostics: [{ path: 'src/lib.rs', code: 'E0308' }] },
    })
  })

  itWithstandsAttacks(() => workspace, {
    tool: test,
    project: { 'Cargo.toml': manifest },
    refused: [{ target: '-Z' }, { target: 1 }],
  })
})

describe('rust.clippy', { timeout: 120_000 }, () => {
  it('lists lints, which are errors unless told otherwise', async (context) => {
    await needsProgram(context, workspace, clippy, 'cargo', 'clippy', '--version')
    await workspace.plant({ 'Cargo.toml': manifest, 'src/lib.rs': 'pub fn f(v: &Vec<i32>) -> bool {\n    v.len() == 0\n}\n' })
    const { output } = await workspace.call(clippy, { deny_warnings: false })
    const lints = (output['diagnostics'] as { code: string; severity: string }[]).map(({ code, severity }) => [code, severity])
    expect(lints).toEqual(expect.arrayContaining([['clippy::len_zero', 'warning']]))
    const error = await fail(clippy)
    expect(error).toMatchObject({ code: 'execution_failed', exitCode: 101 })
    expect(error.output?.['diagnostics']).toEqual(
      expect.arrayContaining([expect.objectContaining({ severity: 'error', path: 'src/lib.rs' })]),
    )
    await workspace.plant({ 'src/lib.rs': 'pub fn f(v: &[i32]) -> bool {\n    v.is_empty()\n}\n' })
    expect((await workspace.call(clippy)).output).toMatchObject({ exit_code: 0, diagnostics: [] })
  })

  itWithstandsAttacks(() => workspace, { tool: clippy, project: { 'Cargo.toml': manifest }, refused: [{ deny_warnings: 'no' }] })
})

describe('rust.format', { timeout: 120_000 }, () => {
  it('checks, and formats when it is told to', async (context) => {
    await needsProgram(context, workspace, format, 'cargo', 'fmt', '--version')
    await workspace.plant({ 'Cargo.toml': manifest, 'src/main.rs': 'fn main(){println!("x");}\n' })
    const error = await fail(format)
    expect(error).toMatchObject({
      code: 'execution_failed',
      exitCode: 1,
      output: { diagnostics: [{ path: 'src/main.rs', line: 1, code: 'rustfmt' }] },
    })
    expect(readFileSync(join(workspace.code, 'src/main.rs'), 'utf8')).toBe('fn main(){println!("x");}\n')
    expect((await workspace.call(format, { check: false })).output).toMatchObject({ exit_code: 0 })
    expect(readFileSync(join(workspace.code, 'src/main.rs'), 'utf8')).toBe('fn main() {\n    println!("x");\n}\n')
    expect((await workspace.call(format)).output).toMatchObject({ exit_code: 0, diagnostics: [] })
    expect(existsSync(join(workspace.code, 'target'))).toBe(false)
  })

  itWithstandsAttacks(() => workspace, { tool: format, project: { 'Cargo.toml': manifest }, refused: [{ check: 0 }] })
})

describe('what cargo prints for machines', () => {
  it.each([
    '{"reason":',
    '{"reason":1}',
    '{"reason":"compiler-message"}',
    '{"reason":"compiler-message","message":{"spans":"x"}}',
    '{"reason":"compiler-artifact","executable":7}',
  ])('makes nothing of %s from a build script', (line) => {
    expect(cargoFindings(line)).toEqual([])
    expect(cargoProgram(line)).toBeNull()
    expect(() => cargoText(line)).not.toThrow()
  })

  it('names no program when there are two', () => {
    const built = (name: string) =>
      JSON.stringify({ reason: 'compiler-artifact', executable: `/session/code/target/debug/${name}` })
    expect(cargoProgram(`${built('a')}\n${built('a')}\n`)).toBe('target/debug/a')
    expect(cargoProgram(`${built('a')}\n${built('b')}\n`)).toBeNull()
    expect(cargoText(`${built('a')}\nDone\n`)).toBe('built target/debug/a\nDone\n')
  })
})
