import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import type { ToolError } from '../../domain/errors.ts'
import build from './build.ts'
import install from './install.ts'
import lint from './lint.ts'
import test from './test.ts'
import typecheck from './typecheck.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const manifest = (scripts: Record<string, string>, more: object = {}) =>
  JSON.stringify({ name: 'demo', version: '1.0.0', type: 'module', scripts, ...more })
const fail = async (tool: Tool, args: Record<string, unknown> = {}, options = {}) =>
  (await workspace.failure(tool, args, options)) as ToolError

describe.each([
  ['build', build],
  ['lint', lint],
  ['typecheck', typecheck],
] as const)('node.%s', (script, tool) => {
  it('runs the script of that name, with the target behind "--"', async () => {
    await workspace.plant({ 'package.json': manifest({ [script]: 'echo ran' }), 'src/a.js': '' })
    const { output, exit_code, artifacts } = await workspace.call(tool, { target: 'src' })
    expect(output).toMatchObject({
      command: ['npm', 'run', script, '--if-present', '--', 'src'],
      exit_code: 0,
      compiled_binary_path: null,
      coverage_percent: null,
      diagnostics: [],
      output: expect.stringContaining('ran src'),
    })
    expect([exit_code, artifacts?.length, artifacts?.[0]?.content]).toEqual([0, 1, output['output']])
  })

  it('succeeds without such a script, and says so', async () => {
    await workspace.plant({ 'package.json': manifest({ other: 'exit 1' }) })
    const { output } = await workspace.call(tool)
    expect(output).toMatchObject({ exit_code: 0, diagnostics: [{ severity: 'note', path: 'package.json' }] })
  })

  it('fails with what the script found', async () => {
    const found = 'src/a.ts(3,5): error TS2322: Type string is not assignable'
    await workspace.plant({
      'package.json': manifest({ [script]: 'node found.js' }),
      'found.js': `console.log(${JSON.stringify(found)}); process.exit(2)`,
    })
    const error = await fail(tool)
    expect(error).toMatchObject({
      code: 'execution_failed',
      exitCode: 2,
      message: expect.stringContaining('src/a.ts:3: Type string'),
    })
    expect(error.output).toMatchObject({
      exit_code: 2,
      diagnostics: [{ path: 'src/a.ts', line: 3, column: 5, code: 'TS2322', severity: 'error' }],
    })
    expect(error.artifacts[0]?.content).toBe(error.output?.['output'])
    expect(tool.output.strict().safeParse(error.output).success).toBe(true)
  })

  it('says what is wrong with a package.json', async () => {
    expect(await fail(tool)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no package.json') })
    await workspace.plant({ 'package.json': '{' })
    expect(await fail(tool)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('not JSON') })
    for (const odd of ['null', '[]', '{"scripts":null}', '{"scripts":"x"}']) {
      await workspace.plant({ 'package.json': odd })
      const outcome = await workspace.call(tool).catch((error: ToolError) => error.code)
      expect(typeof outcome === 'string' ? outcome : outcome.output['exit_code'], odd).toBeOneOf(['execution_failed', 0])
    }
  })

  itWithstandsAttacks(() => workspace, {
    tool,
    project: { 'package.json': manifest({ [script]: 'echo ran' }) },
    path: 'target',
    refused: [
      { target: 1 },
      { target: '' },
      { target: '--script-shell=/bin/evil' },
      { target: ' -x' },
      { target: 'x'.repeat(5000) },
    ],
  })
})

describe('real tools of Node projects', () => {
  it('tsc finds a type error, and none when it is mended', { timeout: 120_000 }, async (context) => {
    const tsc = fileURLToPath(new URL('../../../node_modules/typescript/bin/tsc', import.meta.url))
    if (!existsSync(tsc)) context.skip('typescript is not installed')
    await workspace.plant({
      'package.json': manifest({ typecheck: `node ${tsc} --noEmit -p .` }),
      'tsconfig.json': '{"compilerOptions":{"strict":true,"types":[]},"include":["src"]}',
      'src/a.ts': 'export const n: number = 1\nexport const s: string = n\n',
    })
    expect(await fail(typecheck)).toMatchObject({
      code: 'execution_failed',
      output: { diagnostics: [{ path: 'src/a.ts', line: 2, severity: 'error', code: 'TS2322' }] },
    })
    await workspace.plant({ 'src/a.ts': 'export const n: number = 1\n' })
    expect((await workspace.call(typecheck)).output).toMatchObject({ exit_code: 0, diagnostics: [] })
  })
})

describe('node.test', () => {
  const passing = {
    'package.json': manifest({ test: 'node --test' }),
    'sum.test.js': "import test from 'node:test'\ntest('adds', () => {})\ntest.skip('later', () => {})\n",
  }

  it('counts what passed, and names what failed', async () => {
    await workspace.plant(passing)
    expect((await workspace.call(test)).output).toMatchObject({
      exit_code: 0,
      passed: 1,
      failed: 0,
      skipped: 1,
      failed_tests: [],
    })
    await workspace.plant({ 'bad.test.js': "import test from 'node:test'\ntest('is wrong', () => { throw new Error('no') })\n" })
    const error = await fail(test)
    expect(error).toMatchObject({
      code: 'tests_failed',
      exitCode: 1,
      message: expect.stringMatching(/^1 failed, 1 passed: .*is wrong$/),
    })
    expect(error.output).toMatchObject({ passed: 1, failed: 1, failed_tests: [expect.stringContaining('is wrong')] })
    expect(test.output.strict().safeParse(error.output).success).toBe(true)
    expect((await workspace.call(test, { target: 'sum.test.js' })).output).toMatchObject({ passed: 1, failed: 0 })
  })

  it('tells tests that fail from tests that cannot be run', async () => {
    await workspace.plant({ 'package.json': manifest({ test: 'exit 3' }) })
    expect(await fail(test)).toMatchObject({ code: 'tests_failed', output: { passed: null, runner: null } })
    await workspace.plant({ 'package.json': manifest({ test: 'no-such-runner' }) })
    expect(await fail(test)).toMatchObject({ code: 'execution_failed', exitCode: 127 })
    await workspace.plant({ 'package.json': manifest({ test: 'echo "Error: no test specified" && exit 1' }) })
    expect(await fail(test)).toMatchObject({ code: 'execution_failed' })
    await workspace.plant({ 'package.json': manifest({}) })
    expect((await workspace.call(test)).output).toMatchObject({ exit_code: 0, passed: null, diagnostics: [{ severity: 'note' }] })
  })

  it('keeps what came before its deadline, and ends when it is cancelled', async () => {
    await workspace.plant({ 'package.json': manifest({ test: 'echo begun; sleep 60; echo survived > survived' }) })
    const error = await fail(test, {}, { timeout_seconds: 5 })
    expect(error).toMatchObject({
      code: 'timeout',
      exitCode: 124,
      output: { exit_code: 124, output: expect.stringContaining('begun') },
    })
    expect(error.artifacts[0]?.content).toContain('begun')
    const controller = new AbortController()
    const before = workspace.output.length
    const ending = fail(test, {}, { signal: controller.signal })
    while (!workspace.output.slice(before).join('').includes('begun\n')) await new Promise((resolve) => setTimeout(resolve, 20))
    controller.abort()
    expect(await ending).toMatchObject({ code: 'cancelled' })
    expect(existsSync(join(workspace.code, 'survived'))).toBe(false)
  })

  it('reads the coverage that the runner prints, and gives the secrets to the tests', async () => {
    const script =
      "node -e \"console.log('All files | 87.5 | 80 | 90 |'); console.log([...process.env.API_TOKEN].reverse().join(''))\""
    await workspace.plant({ 'package.json': manifest({ test: script }) })
    const { output } = await workspace.call(test)
    expect(output).toMatchObject({
      coverage_percent: 87.5,
      output: expect.stringContaining([...SECRET.value].reverse().join('')),
    })
  })

  itWithstandsAttacks(() => workspace, {
    tool: test,
    project: passing,
    path: 'target',
    refused: [{ target: [] }, { target: '-e' }],
  })
})

describe('node.install', () => {
  const local = {
    'package.json': manifest({}, { dependencies: { local: 'file:local' } }),
    'local/package.json': JSON.stringify({ name: 'local', version: '2.0.0', scripts: { install: 'echo ran > ../ran' } }),
  }

  it('installs without a lockfile when told to, then as the lockfile says; scripts of packages do not run', async () => {
    await workspace.plant(local)
    expect((await workspace.call(install, { use_ci: false })).output).toMatchObject({
      command: ['npm', 'install', '--ignore-scripts=true'],
      exit_code: 0,
    })
    expect(existsSync(join(workspace.code, 'node_modules/local/package.json'))).toBe(true)
    await workspace.plant({ '.npmrc': 'ignore-scripts=false\n' })
    const { output, artifacts } = await workspace.call(install)
    expect(output).toMatchObject({ command: ['npm', 'ci', '--ignore-scripts=true'], exit_code: 0 })
    expect(artifacts?.[0]?.name).toBe('install-output.txt')
    expect(existsSync(join(workspace.code, 'ran'))).toBe(false)
    await workspace.call(install, { ignore_scripts: false })
    expect(existsSync(join(workspace.code, 'ran'))).toBe(true)
  })

  it('says what is missing', async () => {
    expect(await fail(install)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no package.json') })
    await workspace.plant({ 'package.json': manifest({}, { dependencies: { 'is-not-here': '1.0.0' } }) })
    expect(await fail(install)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('use_ci') })
    const offline = await fail(install, { use_ci: false })
    expect(offline).toMatchObject({
      code: 'execution_failed',
      output: { exit_code: 1, output: expect.stringContaining('ENOTCACHED') },
    })
  })

  itWithstandsAttacks(() => workspace, {
    tool: install,
    project: local,
    refused: [{ use_ci: 'yes' }, { ignore_scripts: 1 }, { use_ci: null }],
  })
})
