import { execFileSync } from 'node:child_process'
import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it, type TestContext } from 'vitest'
import { type CallOptions, SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { ToolError } from '../../domain/errors.ts'
import runTests from './run_tests.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const succeed = async (args: Record<string, unknown> = {}, options: CallOptions = {}) =>
  await workspace.call(runTests, args, options)
const fail = async (args: Record<string, unknown> = {}, options: CallOptions = {}) =>
  (await workspace.failure(runTests, args, options)) as ToolError

/** Asked of the sandbox itself: what is on its PATH counts, not what the developer has in the home directory. */
async function needs(context: TestContext, ...probe: string[]): Promise<void> {
  const { sandbox } = workspace.context(runTests)
  const there = await sandbox.run(probe).then(
    ({ exit_code }) => exit_code === 0,
    () => false,
  )
  if (!there) context.skip(`${probe.join(' ')} does not run in the sandbox`)
}

/** A failed run keeps its whole output as an artifact too. */
function expectReport(error: ToolError, wanted: Record<string, unknown>, code = 'tests_failed'): void {
  expect(error).toMatchObject({ code, output: wanted })
  expect(runTests.output.strict().safeParse(error.output)).toMatchObject({ success: true })
  expect(error.artifacts).toEqual([
    { name: 'test-output.txt', content_type: 'text/plain; charset=utf-8', content: error.output?.['output'] },
  ])
}

describe('node', () => {
  const passing = {
    'package.json': '{"name":"x","type":"module","scripts":{"test":"node --test"}}',
    'sum.test.js': "import test from 'node:test'\ntest('adds', () => {})\ntest.skip('later', () => {})\n",
  }
  const failing = "import test from 'node:test'\nimport assert from 'node:assert'\ntest('is wrong', () => assert.equal(1, 2))\n"

  it('runs node:test by npm', async (context) => {
    await needs(context, 'npm', '--version')
    await workspace.plant(passing)
    const { output, exit_code, artifacts } = await succeed()
    const counts = { runner: expect.stringMatching(/node:test|tap/), passed: 1, failed: 0, skipped: 1, failed_tests: [] }
    expect(output).toMatchObject({ project_type: 'node', command: ['npm', 'test'], exit_code: 0, ...counts })
    expect([exit_code, artifacts?.[0]?.name, artifacts?.[0]?.content]).toEqual([0, 'test-output.txt', output['output']])
  })

  it('names the tests that fail', async (context) => {
    await needs(context, 'npm', '--version')
    await workspace.plant({ ...passing, 'bad.test.js': failing })
    const error = await fail()
    expectReport(error, {
      exit_code: 1,
      passed: 1,
      failed: 1,
      skipped: 1,
      failed_tests: [expect.stringMatching(/^bad\.test\.js > is wrong$|is wrong$/)],
    })
    expect(error.message).toMatch(/^1 failed, 1 passed: .*is wrong$/)
    expect(error.exitCode).toBe(1)
  })

  it('runs what is asked for', async (context) => {
    await needs(context, 'npm', '--version')
    await workspace.plant({ ...passing, 'bad.test.js': failing })
    expect((await succeed({ target: 'sum.test.js' })).output).toMatchObject({
      command: ['npm', 'test', '--', 'sum.test.js'],
      passed: 1,
    })
  })

  it('reads vitest', async (context) => {
    await needs(context, 'npm', '--version')
    const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url))
    if (!existsSync(join(modules, 'vitest'))) context.skip('vitest is not installed')
    await workspace.plant({
      'package.json': '{"name":"x","type":"module","scripts":{"test":"vitest run --no-cache"}}',
      'a.test.js': "import { expect, test } from 'vitest'\ntest('good', () => {})\ntest('bad', () => expect(1).toBe(2))\n",
    })
    symlinkSync(modules, join(workspace.code, 'node_modules'))
    expectReport(await fail({}, { timeout_seconds: 60 }), {
      runner: 'vitest',
      passed: 1,
      failed: 1,
      failed_tests: ['a.test.js > bad'],
    })
  })

  it.each([
    ['no test script', '{"name":"x"}', 'execution_failed', /Missing script/],
    [
      'the script of npm init',
      '{"name":"x","scripts":{"test":"echo \\"Error: no test specified\\" && exit 1"}}',
      'execution_failed',
      /could not be run/,
    ],
    ['a missing program', '{"name":"x","scripts":{"test":"no-such-runner"}}', 'execution_failed', /could not be run/],
    ['a package.json that is none', '{', 'execution_failed', /could not be run/],
    ['an unknown runner that fails', '{"name":"x","scripts":{"test":"exit 3"}}', 'tests_failed', /no known runner/],
  ])('tells %s apart', async (_, manifest, code, message) => {
    await workspace.plant({ 'package.json': manifest })
    const error = await fail()
    expect(error.code).toBe(code)
    expect(`${error.message}${error.output?.['output']}`).toMatch(message)
    expect(error.output).toMatchObject({ passed: null, failed: null, skipped: null, runner: null })
  })

  it('succeeds with an unknown runner, without counts', async () => {
    await workspace.plant({ 'package.json': '{"name":"x","scripts":{"test":"echo fine"}}' })
    expect((await succeed()).output).toMatchObject({
      exit_code: 0,
      passed: null,
      failed: null,
      output: expect.stringContaining('fine'),
    })
  })

  it('takes colours off, gives the secrets to the tests, and says that it is CI', async () => {
    const script = 'printf "\\\\033[31mred\\\\033[0m $CI $NO_COLOR $API_TOKEN\\\\n"'
    await workspace.plant({ 'package.json': JSON.stringify({ name: 'x', scripts: { test: script.replaceAll('\\\\', '\\') } }) })
    expect((await succeed()).output['output']).toContain(`red 1 1 [secret:${SECRET.name}]\n`)
  })

  it('keeps what came before the deadline', async () => {
    await workspace.plant({ 'package.json': '{"name":"x","scripts":{"test":"echo begun; sleep 60"}}' })
    const error = await fail({}, { timeout_seconds: 3 })
    expect(error).toMatchObject({
      code: 'timeout',
      exitCode: 124,
      output: { exit_code: 124, output: expect.stringContaining('begun') },
    })
    expect(error.artifacts[0]?.content).toContain('begun')
  })

  it('ends when it is cancelled', async () => {
    await workspace.plant({ 'package.json': '{"name":"x","scripts":{"test":"echo begun; sleep 60; echo survived > survived"}}' })
    const controller = new AbortController()
    const before = workspace.output.length
    const ending = fail({}, { signal: controller.signal })
    while (!workspace.output.slice(before).join('').includes('begun\n')) await new Promise((resolve) => setTimeout(resolve, 20))
    controller.abort()
    expect(await ending).toMatchObject({ code: 'cancelled' })
    expect(existsSync(join(workspace.code, 'survived'))).toBe(false)
  })
})

describe('python', () => {
  const tests =
    'import unittest\n\nclass TestX(unittest.TestCase):\n    def test_good(self):\n        pass\n\n    @unittest.skip("later")\n    def test_later(self):\n        pass\n'
  const bad = `${tests}\n    def test_bad(self):\n        self.assertEqual(1, 2)\n`

  it('runs pytest', async (context) => {
    await needs(context, 'python3', '-c', 'import pytest')
    await workspace.plant({ 'pytest.ini': '[pytest]\n', 'test_x.py': tests })
    const { output } = await succeed()
    expect(output).toMatchObject({
      project_type: 'python',
      command: ['python3', '-m', 'pytest'],
      runner: 'pytest',
      passed: 1,
      failed: 0,
      skipped: 1,
    })
    await workspace.plant({ 'test_y.py': bad })
    expectReport(await fail(), { passed: 2, failed: 1, skipped: 2, failed_tests: ['test_y.py::TestX::test_bad'] })
    expect((await succeed({ target: 'test_x.py' })).output).toMatchObject({ passed: 1 })
    expect((await succeed({ extra_args: ['-v', '-k=good'] })).output).toMatchObject({ passed: 2, failed: 0, skipped: 0 })
  })

  it('reports a file that cannot be imported, and a run without tests', async (context) => {
    await needs(context, 'python3', '-c', 'import pytest')
    await workspace.plant({ 'pytest.ini': '[pytest]\n', 'test_broken.py': 'import nothere\n' })
    const error = await fail()
    expectReport(error, { exit_code: 2, passed: 0, failed: 1, failed_tests: ['test_broken.py'] }, 'execution_failed')
    expect(error.message).toContain("test_broken.py:1: No module named 'nothere'")
    await workspace.plant({ 'test_x.py': tests })
    expect(await fail(), 'pytest runs none when one file cannot be collected').toMatchObject({ code: 'execution_failed' })
    await workspace.plant({ 'pytest.ini': '[pytest]\naddopts = --continue-on-collection-errors\n' })
    expectReport(await fail(), { passed: 1, failed: 1, failed_tests: ['test_broken.py'] })
    await workspace.clear()
    await workspace.plant({
      'pytest.ini': '[pytest]\n',
      'test_x.py': `import pytest\n@pytest.fixture\ndef f():\n    raise OSError()\ndef test_f(f):\n    pass\n`,
    })
    expectReport(await fail(), { passed: 0, failed: 1, failed_tests: ['test_x.py::test_f'] })
    await workspace.clear()
    await workspace.plant({ 'pytest.ini': '[pytest]\n' })
    expect(await fail()).toMatchObject({ code: 'execution_failed', output: { exit_code: 5 } })
  })

  it('runs unittest where pytest is not installed', async (context) => {
    await needs(context, 'python3', '--version')
    // A virtual environment's interpreter goes first; this one has no pytest.
    const venv = '#!/bin/sh\n[ "$1 $2" = "-c import pytest" ] && exit 1\nexec python3 "$@"\n'
    await workspace.plant({ 'requirements.txt': '', 'tests/test_x.py': tests, '.workspace-venv/bin/python3*': venv })
    const { output } = await succeed()
    expect(output).toMatchObject({ runner: 'unittest', passed: 1, failed: 0, skipped: 1 })
    expect(output['command']).toEqual([
      '.workspace-venv/bin/python3',
      '-m',
      'unittest',
      'discover',
      '-v',
      '-s',
      'tests',
      '-t',
      'tests',
    ])
    await workspace.plant({ 'tests/test_y.py': bad })
    expectReport(await fail(), { runner: 'unittest', passed: 2, failed: 1, failed_tests: ['test_y.TestX.test_bad'] })
    expect((await succeed({ extra_args: ['-k=good', '-q'] })).output).toMatchObject({ passed: 2, failed: 0 })
  })
})

describe('rust', () => {
  const manifest = '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n'
  const library = (body: string) =>
    `pub fn sum(a: i32, b: i32) -> i32 { a + b }\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() { assert_eq!(super::sum(1, 1), ${body}); }\n    #[test]\n    #[ignore]\n    fn later() {}\n}\n`

  it('runs cargo test, passing, failing, and not compiling', { timeout: 180_000 }, async (context) => {
    await needs(context, 'cargo', '--version')
    await workspace.plant({ 'Cargo.toml': manifest, 'src/lib.rs': library('2') })
    const { output } = await succeed({ extra_args: ['--lib'] })
    expect(output).toMatchObject({ project_type: 'rust', runner: 'cargo test', passed: 1, failed: 0, skipped: 1 })
    expect(output['command']).toEqual(['cargo', 'test', '--offline', '--no-fail-fast', '--lib'])
    await workspace.plant({ 'src/lib.rs': library('3') })
    expectReport(await fail({ extra_args: ['--lib'] }), { exit_code: 101, passed: 0, failed: 1, failed_tests: ['tests::adds'] })
    await workspace.plant({ 'src/lib.rs': library('"no"') })
    expect(await fail({ extra_args: ['--lib'] })).toMatchObject({ code: 'execution_failed', output: { failed: null } })
  })
})

describe('go', () => {
  it('runs go test, passing and failing', { timeout: 240_000 }, async (context) => {
    await needs(context, 'go', 'version')
    const test = (body: string) =>
      `package demo\n\nimport "testing"\n\nfunc TestOne(t *testing.T) { ${body} }\n\nfunc TestLater(t *testing.T) { t.Skip() }\n`
    await workspace.plant({ 'go.mod': 'module example.com/demo\n\ngo 1.19\n', 'a_test.go': test('') })
    const { output } = await succeed()
    expect(output).toMatchObject({ project_type: 'go', runner: 'go test', passed: 1, failed: 0, skipped: 1 })
    expect(output['command']).toEqual(['go', 'test', '-json', './...'])
    expect(output['output']).toMatch(/^=== RUN {3}TestOne\n--- PASS: TestOne/)
    await workspace.plant({ 'sub/b_test.go': test('t.Error("no")') })
    expectReport(await fail(), { passed: 1, failed: 1, skipped: 2, failed_tests: ['example.com/demo/sub.TestOne'] })
    expect((await succeed({ target: '.', extra_args: ['-run=TestOne', '-count=1'] })).output).toMatchObject({
      passed: 1,
      skipped: 0,
    })
    expectReport(await fail({ target: 'sub' }), { failed: 1 })
    await workspace.plant({ 'sub/b_test.go': test('no()') })
    expectReport(await fail(), { passed: 1, failed: 1, failed_tests: ['example.com/demo/sub [build failed]'] })
    const error = await fail({ target: 'sub' })
    expectReport(error, { failed: 1, failed_tests: ['example.com/demo/sub [build failed]'] }, 'execution_failed')
    expect(error.message).toMatch(/^the tests could not be run: .*sub\/b_test\.go:5: undefined: no$/)
  })
})

describe('c', () => {
  const cmake =
    'cmake_minimum_required(VERSION 3.13)\nproject(demo C)\nenable_testing()\nadd_executable(check check.c)\nadd_test(NAME good COMMAND check 0)\nadd_test(NAME other COMMAND check 1)\n'
  const source = (condition: string) =>
    `#include <stdlib.h>\nint main(int argc, char **argv) { return argc > 1 && atoi(argv[1]) ${condition}; }\n`

  it('configures, builds and runs ctest, and leaves nothing that git would show', async (context) => {
    await needs(context, 'cmake', '--version')
    await needs(context, 'cc', '--version')
    await workspace.plant({ 'CMakeLists.txt': cmake, 'check.c': source('> 5') })
    const { output } = await succeed()
    expect(output).toMatchObject({ project_type: 'c', runner: 'ctest', passed: 2, failed: 0 })
    expect(output['command']).toEqual(['ctest', '--test-dir', '.workspace-build', '--output-on-failure', '--no-tests=error'])
    await workspace.plant({ 'check.c': source('== 1') })
    expectReport(await fail(), { passed: 1, failed: 1, failed_tests: ['other'] })
    expect((await succeed({ target: 'good' })).output).toMatchObject({ passed: 1 })
    await workspace.plant({ 'check.c': 'int main(' })
    const error = await fail()
    expect(error).toMatchObject({ code: 'execution_failed', output: { command: ['cmake', '--build', '.workspace-build'] } })
    execFileSync('git', ['init', '-q'], { cwd: workspace.code })
    expect(
      execFileSync('git', ['-c', 'safe.directory=*', 'status', '--porcelain'], { cwd: workspace.code }).toString(),
    ).not.toContain('.workspace-build')
  })

  it('runs make test, and says when there is no way', async (context) => {
    await needs(context, 'make', '--version')
    await workspace.plant({ 'src/deep/a.c': '', Makefile: 'test:\n\t@echo fine\n' })
    expect((await succeed()).output).toMatchObject({ project_type: 'c', command: ['make', 'test'], output: 'fine\n' })
    await workspace.plant({ Makefile: 'test:\n\t@false\n' })
    expect(await fail()).toMatchObject({ code: 'tests_failed', exitCode: 2 })
    await workspace.plant({ Makefile: 'all:\n' })
    expect(await fail()).toMatchObject({ code: 'execution_failed' })
    await workspace.clear()
    await workspace.plant({ 'a.c': '' })
    expect(await fail()).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('CMakeLists.txt or Makefile'),
    })
  })
})

describe('java', () => {
  it('runs Maven with what Debian has of it', { timeout: 180_000 }, async (context) => {
    const repository = '/usr/share/maven-repo/org/apache/maven/plugins'
    await needs(context, 'mvn', '--version')
    for (const plugin of ['maven-surefire-plugin', 'maven-resources-plugin', 'maven-compiler-plugin'])
      if (!existsSync(join(repository, plugin))) context.skip(`Debian's ${plugin} is not installed (libsurefire-java, junit4)`)
    await workspace.plant({
      'pom.xml':
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>demo</groupId><artifactId>demo</artifactId><version>1</version><properties><maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties><dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version><scope>test</scope></dependency></dependencies><build><plugins><plugin><artifactId>maven-surefire-plugin</artifactId><version>2.22.3</version></plugin><plugin><artifactId>maven-resources-plugin</artifactId><version>3.3.0</version></plugin><plugin><artifactId>maven-compiler-plugin</artifactId><version>3.10.1</version></plugin></plugins></build></project>',
      '.mvn/maven.config': '-Dmaven.repo.local=/usr/share/maven-repo\n',
      'src/test/java/demo/SumTest.java':
        'package demo;\nimport org.junit.*;\npublic class SumTest {\n  @Test public void adds() {}\n  @Test public void fails() { Assert.fail("no"); }\n}\n',
    })
    expectReport(await fail(), {
      project_type: 'java',
      runner: 'surefire',
      passed: 1,
      failed: 1,
      failed_tests: ['demo.SumTest.fails'],
    })
    expect((await succeed({ extra_args: ['-Dtest=SumTest#adds'] })).output).toMatchObject({ passed: 1, failed: 0 })
  })
})

describe('what it refuses', () => {
  it('a repository of no known kind', async () => {
    await workspace.plant({ 'README.md': '', 'a/b/c/d.c': '', '.hidden/x.c': '' })
    expect(await fail()).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no known kind of project') })
  })

  it.each([
    ['package.json', '{}', ['-v']],
    ['go.mod', 'module x\n', ['-exec=/bin/sh']],
    ['go.mod', 'module x\n', ['-run=']],
    ['go.mod', 'module x\n', ['-toolexec=evil', '-v']],
    ['pytest.ini', '', ['-p', 'evil']],
    ['pytest.ini', '', ['-run=x']],
    ['Cargo.toml', '', ['--config=evil']],
    ['pom.xml', '', ['-Dexec=evil']],
    ['CMakeLists.txt', '', ['-v']],
  ])('arguments that are not for %s', async (marker, content, extra_args) => {
    await workspace.plant({ [marker]: content })
    expect(await fail({ extra_args })).toMatchObject({ code: 'policy_denied', details: { rule: 'command_args' } })
  })

  it.each([
    { target: '-exec=x' },
    { target: ' -x' },
    { target: '' },
    { extra_args: Array.from({ length: 9 }, () => '-v') },
    { extra_args: ['x'.repeat(65)] },
    { extra_args: '-v' },
    { target: 1 },
  ])('by its schema: %j', (args) => {
    expect(runTests.input.safeParse(args).success).toBe(false)
  })

  it('what would need the whole repository and may use only a part', async () => {
    await workspace.plant({ 'package.json': '{"scripts":{"test":"true"}}' })
    expect(runTests.metadata.policy.whole_repository).toBe(true)
    expect(await fail({}, { allowed_paths: ['src'] })).toMatchObject({ code: 'policy_denied' })
  })
})
