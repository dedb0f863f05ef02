import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, type TestContext } from 'vitest'
import { BROKEN, linkNodeModules, NEEDS, PROJECTS } from '../../../test/support/sample-projects.ts'
import { needsProgram } from '../../../test/support/sandbox-programs.ts'
import { type CallOptions, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import type { ToolError } from '../../domain/errors.ts'
import build from './build.ts'
import coverageReport from './coverage_report.ts'
import pack from './package.ts'
import staticAnalysis from './static_analysis.ts'
import validate from './validate.ts'

type Kind = keyof typeof PROJECTS

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const succeed = async (tool: Tool, args: Record<string, unknown> = {}, options: CallOptions = {}) =>
  await workspace.call(tool, args, options)
const fail = async (tool: Tool, args: Record<string, unknown> = {}, options: CallOptions = {}) =>
  (await workspace.failure(tool, args, options)) as ToolError
const has = (path: string) => existsSync(join(workspace.code, path))

async function plant(context: TestContext, kind: Kind, broken = false): Promise<void> {
  await needsProgram(context, workspace, build, ...NEEDS[kind])
  await workspace.plant(PROJECTS[kind])
  if (broken) await workspace.plant(BROKEN[kind])
  if (kind === 'typescript') linkNodeModules(context, workspace, 'typescript')
}

/** The output of a failed call is the tool's output too, kept as an artifact, and says where. */
function expectFailure(tool: Tool, error: ToolError, path: string): void {
  expect(error).toMatchObject({ code: 'execution_failed' })
  expect(error.exitCode).toBeGreaterThan(0)
  expect(tool.output.strict().safeParse(error.output)).toMatchObject({ success: true })
  expect(error.artifacts).toMatchObject([{ name: expect.stringMatching(/-output\.txt$/), content: error.output?.['output'] }])
  expect(error.message).toContain(path)
  const diagnostics = error.output?.['diagnostics'] as { path: string; severity: string }[]
  expect(diagnostics.filter(({ severity }) => severity === 'error').map((each) => each.path)).toContain(path)
}

/** What git would show as changed or new, apart from the files that were planted. */
function leftBehind(kind: Kind): string[] {
  execFileSync('git', ['init', '-q'], { cwd: workspace.code })
  const shown = execFileSync('git', ['-c', 'safe.directory=*', 'status', '--porcelain', '-uall'], { cwd: workspace.code })
  const planted = new Set<string>([...Object.keys(PROJECTS[kind]), 'node_modules'])
  return shown
    .toString()
    .split('\n')
    .map((line) => line.slice(3))
    .filter((path) => path !== '' && !planted.has(path))
}

describe('repo.build', () => {
  it.for<[Kind, string[], string[]]>([
    ['node', ['npm', 'run', 'build', '--if-present'], ['built.txt']],
    ['typescript', ['npm', 'run', 'build', '--if-present'], []],
    ['python', ['python3', '-m', 'compileall', '-f', '-q', '-x', expect.any(String), '.'], []],
    ['go', ['go', 'build', '-o', '/dev/null', './...'], []],
    ['rust', ['cargo', 'build', '--offline'], ['Cargo.lock', expect.stringContaining('target/')]],
    ['cmake', ['cmake', '--build', '.workspace-build'], []],
    ['c', ['cc', '-Wall', '-Wextra', '-o', '.workspace-build/c-app', '-I.', '-Iinclude', './main.c', './lib/sum.c'], []],
  ])('builds %s', { timeout: 120_000 }, async ([kind, command, left], context) => {
    await plant(context, kind)
    const { output, exit_code, artifacts } = await succeed(build)
    expect(output).toMatchObject({ command, exit_code: 0, diagnostics: [] })
    expect([exit_code, artifacts?.[0]?.name]).toEqual([0, 'build-output.txt'])
    const seen = leftBehind(kind)
    for (const wanted of left) expect(seen).toContainEqual(wanted)
    if (left.length === 0) expect(seen).toEqual([])
  })

  it.for<[Kind, string]>([
    ['python', 'summing.py'],
    ['go', 'main.go'],
    ['rust', 'src/main.rs'],
    ['c', 'main.c'],
    ['cmake', 'main.c'],
  ])('says where %s does not compile', { timeout: 120_000 }, async ([kind, path], context) => {
    await plant(context, kind, true)
    expectFailure(build, await fail(build), path)
  })
})

describe('repo.build, further', () => {
  it('builds what is asked for, with what may be added', { timeout: 120_000 }, async (context) => {
    await plant(context, 'go')
    await workspace.plant({ 'sub/sub.go': 'package sub\n\nfunc x() int { return "no" }\n' })
    expect((await succeed(build, { target: '.', extra_args: ['-v'] })).output['command']).toEqual([
      'go',
      'build',
      '-o',
      '/dev/null',
      '-v',
      '.',
    ])
    expectFailure(build, await fail(build, { target: 'sub' }), 'sub/sub.go')
    expect(await fail(build, { target: '.', extra_args: ['-run=x'] })).toMatchObject({
      code: 'policy_denied',
      message: expect.stringContaining('it accepts -v -race'),
    })
  })

  it('builds by make', async (context) => {
    await needsProgram(context, workspace, build, 'make', '--version')
    await workspace.plant({ Makefile: 'all:\n\techo all\nother:\n\techo other; false\n', 'a.c': '' })
    expect((await succeed(build)).output).toMatchObject({ command: ['make'], output: expect.stringContaining('all') })
    expect(await fail(build, { target: 'other' })).toMatchObject({ code: 'execution_failed', exitCode: 2 })
  })

  it('says that there is nothing to build, no way to build, or nothing known', async (context) => {
    await plant(context, 'typescript')
    expect((await succeed(build)).output['output']).toContain('no script "build": nothing to build')
    await workspace.plant({ 'package.json': '{"scripts":{"build":1}}' })
    expect(await fail(build)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('package.json') })
    await workspace.clear()
    expect(await fail(build)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no known kind') })
    await workspace.plant({ 'a.c': '' })
    expect(await fail(build, { target: 'a.h' })).toMatchObject({ code: 'invalid_argument' })
  })

  it('keeps what came before the deadline', async () => {
    await workspace.plant({ 'package.json': '{"scripts":{"build":"echo begun; sleep 60"}}' })
    const error = await fail(build, {}, { timeout_seconds: 2 })
    expect(error).toMatchObject({ code: 'timeout', exitCode: 124, output: { output: expect.stringContaining('begun') } })
    expect(error.artifacts[0]).toMatchObject({ name: 'build-output.txt', content: expect.stringContaining('begun') })
  })
})

describe('java', () => {
  it('is built and packed by Maven, with what Debian has of it', { timeout: 180_000 }, async (context) => {
    await needsProgram(context, workspace, build, 'mvn', '--version')
    for (const plugin of ['maven-resources-plugin', 'maven-compiler-plugin'])
      if (!existsSync(join('/usr/share/maven-repo/org/apache/maven/plugins', plugin)))
        context.skip(`Debian's ${plugin} is not installed`)
    await workspace.plant({
      'pom.xml':
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>demo</groupId><artifactId>demo</artifactId><version>1</version><properties><maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties><build><plugins><plugin><artifactId>maven-resources-plugin</artifactId><version>3.3.0</version></plugin><plugin><artifactId>maven-compiler-plugin</artifactId><version>3.10.1</version></plugin></plugins></build></project>',
      '.mvn/maven.config': '-Dmaven.repo.local=/usr/share/maven-repo\n',
      'src/main/java/demo/Sum.java': 'package demo;\npublic class Sum { static int sum(int a) { return a; } }\n',
    })
    expect((await succeed(build, { extra_args: ['-q'] })).output).toMatchObject({
      project_type: 'java',
      command: ['mvn', '-B', '-o', '-q', 'compile'],
      diagnostics: [],
    })
    await workspace.plant({ 'src/main/java/demo/Sum.java': 'package demo;\npublic class Sum { int sum( { } }\n' })
    expectFailure(build, await fail(build), 'src/main/java/demo/Sum.java')
  })

  it.each<[string, Record<string, string>, Tool, Record<string, unknown>, string]>([
    ['validates', { 'build.gradle': '' }, validate, {}, 'gradle --console=plain --no-daemon --offline testClasses'],
    [
      'analyses',
      { 'build.gradle': '' },
      staticAnalysis,
      {},
      'gradle --console=plain --no-daemon --offline check --exclude-task test',
    ],
    ['validates', { 'pom.xml': '' }, validate, { target: 'core' }, 'mvn -B -o -pl core test-compile'],
    ['packs', { 'pom.xml': '', 'mvnw*': '#!/bin/sh\nexit 7\n' }, pack, {}, './mvnw -B -o -DskipTests package'],
  ])('%s %j by what is there', async (_, files, tool, args, command) => {
    await workspace.plant(files)
    const before = workspace.log.length
    expect(await fail(tool, args)).toMatchObject({ code: 'execution_failed' })
    expect(workspace.log.slice(before)).toEqual([`$ ${command}`])
  })
})

describe('repo.validate', () => {
  it.for<[Kind, string[]]>([
    ['node', ['xargs', '-0', '-r', '-n', '1', '-P', '2', 'node', '--check']],
    ['typescript', ['node_modules/.bin/tsc', '--noEmit', '--pretty', 'false', '-p', '.']],
    ['python', ['python3', '-m', 'compileall', '-f', '-q', '-x', expect.any(String), '.']],
    ['go', ['go', 'vet', '-buildtag', './...']],
    ['rust', ['cargo', 'check', '--offline', '--all-targets']],
    ['c', ['cc', '-Wall', '-Wextra', '-fsyntax-only', '-I.', '-Iinclude', './main.c', './lib/sum.c']],
    ['cmake', ['cmake', '--build', '.workspace-build']],
  ])('lets %s pass, and finds what does not compile', { timeout: 120_000 }, async ([kind, command], context) => {
    await plant(context, kind)
    const { output, artifacts } = await succeed(validate)
    expect(output).toMatchObject({
      language: kind === 'typescript' ? 'node' : kind === 'cmake' ? 'c' : kind,
      command,
      exit_code: 0,
      diagnostics: [],
    })
    expect(artifacts?.[0]?.name).toBe('validate-output.txt')
    if (kind !== 'rust') expect(leftBehind(kind)).toEqual([])
    await workspace.plant(BROKEN[kind])
    expectFailure(validate, await fail(validate), Object.keys(BROKEN[kind])[0] as string)
  })

  it("takes the project's own script, and says what is missing", async (context) => {
    await needsProgram(context, workspace, build, 'npm', '--version')
    await workspace.plant({ ...PROJECTS.typescript, 'package.json': '{"scripts":{"typecheck":"echo checked"}}' })
    expect((await succeed(validate)).output).toMatchObject({
      command: ['npm', 'run', 'typecheck'],
      output: expect.stringContaining('checked'),
    })
    await workspace.plant({ 'package.json': '{}' })
    expect(await fail(validate)).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('TypeScript is not installed'),
    })
  })

  it('type-checks the tests of Go too', { timeout: 60_000 }, async (context) => {
    await plant(context, 'go')
    await workspace.plant({ 'main_test.go': 'package main\n\nimport "testing"\n\nfunc TestX(t *testing.T) { sum("no") }\n' })
    expectFailure(validate, await fail(validate), 'main_test.go')
  })

  it("checks only the scripts that are the project's own", async (context) => {
    await plant(context, 'node')
    await workspace.plant({ 'node_modules/x/bad.js': '(', '.gitignore': 'out\n', 'out/bad.js': '(', '-e.js': 'let ok\n' })
    expect((await succeed(validate)).output['output']).toContain('checked 3 files')
  })
})

describe('repo.static_analysis', () => {
  it.for<[Kind, string[], Record<string, string>, string]>([
    [
      'go',
      ['go', 'vet', './...'],
      {
        'main.go': 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Printf("%d\\n", "no") }\n',
        'main_test.go': 'package main\n',
      },
      'main.go',
    ],
    ['rust', ['cargo', 'clippy', '--offline', '--all-targets'], BROKEN.rust, 'src/main.rs'],
    ['python', ['python3', '-m', 'compileall', '-f', '-q', '-x', expect.any(String), '.'], BROKEN.python, 'summing.py'],
    ['node', ['npm', 'run', 'lint', '--if-present'], BROKEN.node, 'sum.js'],
    ['c', ['cc', '-Wall', '-Wextra', '-fsyntax-only', '-I.', '-Iinclude', './main.c', './lib/sum.c'], BROKEN.c, 'main.c'],
  ])('%s: nothing, and something', { timeout: 120_000 }, async ([kind, command, faults, path], context) => {
    if (kind === 'rust') await needsProgram(context, workspace, build, 'cargo', 'clippy', '--version')
    await plant(context, kind)
    const { output, artifacts } = await succeed(staticAnalysis)
    expect(output).toMatchObject({ project_type: kind, command, exit_code: 0, diagnostics: [] })
    expect(artifacts?.[0]?.name).toBe('static-analysis-output.txt')
    await workspace.plant(faults)
    expectFailure(staticAnalysis, await fail(staticAnalysis), path)
  })

  it('reports warnings of a command that ends with 0', async (context) => {
    await plant(context, 'c')
    await workspace.plant({ 'main.c': 'int main(void) { int unused; return 0; }\n' })
    expect((await succeed(staticAnalysis, { target: 'main.c' })).output['diagnostics']).toMatchObject([
      { path: 'main.c', line: 1, severity: 'warning' },
    ])
  })

  it('says that nothing was analysed', async () => {
    await workspace.plant({ 'package.json': '{}' })
    expect((await succeed(staticAnalysis)).output['output']).toContain('no script "lint": nothing was analysed')
  })
})

describe('repo.coverage_report', () => {
  it.for<[Kind, string[], number[]]>([
    ['go', ['go', 'tool', 'cover', '-func=.workspace-build/coverage.out'], [50]],
    ['node', ['npm', 'exec', '--offline', '-c', 'node --test --experimental-test-coverage'], [57, 80]],
    ['python', ['python3', '-m', 'pytest', '--cov=.', '--cov-report=term'], [70, 90]],
  ])('measures %s', { timeout: 120_000 }, async ([kind, command, [least = 0, most = least]], context) => {
    if (kind === 'python') await needsProgram(context, workspace, build, 'python3', '-c', 'import pytest_cov')
    await plant(context, kind)
    const { output, artifacts } = await succeed(coverageReport)
    expect(output).toMatchObject({ project_type: kind, command, coverage_supported: true, exit_code: 0 })
    expect(output['coverage_percent']).toBeGreaterThanOrEqual(least)
    expect(output['coverage_percent']).toBeLessThanOrEqual(most)
    expect(artifacts?.[0]?.name).toBe('coverage-output.txt')
    expect(leftBehind(kind).filter((path) => !path.includes('.pytest_cache'))).toEqual([])
  })

  it("takes the project's own script", async () => {
    const table = 'File | % Stmts | % Branch | % Funcs | % Lines |\nAll files | 81.25 | 70 | 60 | 80 |\n'
    await workspace.plant({ 'package.json': '{"scripts":{"coverage":"cat table"}}', table })
    expect((await succeed(coverageReport)).output).toMatchObject({ command: ['npm', 'run', 'coverage'], coverage_percent: 81.25 })
  })

  it('is honest where nothing measures, and about tests that fail', async (context) => {
    await plant(context, 'c')
    expect((await succeed(coverageReport)).output).toEqual({
      project_type: 'c',
      command: [],
      coverage_supported: false,
      coverage_percent: null,
      exit_code: null,
      output: expect.stringContaining('no coverage for C'),
    })
    await workspace.clear()
    await workspace.plant({ 'package.json': '{"scripts":{"test":"mystery"}}' })
    expect((await succeed(coverageReport)).output).toMatchObject({ coverage_supported: false, coverage_percent: null })
    await workspace.clear()
    await plant(context, 'node')
    await workspace.plant({ 'sum.js': 'export const sum = () => 3\n' })
    const error = await fail(coverageReport)
    expect(error).toMatchObject({ code: 'tests_failed', output: { coverage_supported: true, exit_code: 1 } })
    expect(coverageReport.output.strict().safeParse(error.output)).toMatchObject({ success: true })
  })
})

describe('repo.package', () => {
  it.for<[Kind, string]>([
    ['go', '.workspace-dist/app'],
    ['node', '.workspace-dist/demo-1.0.0.tgz'],
    ['python', '.workspace-dist/demo-1.0-py3-none-any.whl'],
    ['rust', 'target/release/demo'],
    ['cmake', '.workspace-dist'],
    ['c', '.workspace-dist/c-app'],
  ])('packs %s', { timeout: 180_000 }, async ([kind, artifact_path], context) => {
    if (kind === 'python') await needsProgram(context, workspace, build, 'python3', '-c', 'import setuptools, wheel, pip')
    await plant(context, kind)
    const { output, artifacts } = await succeed(pack)
    expect(output).toMatchObject({ exit_code: 0, artifact_path })
    expect(has(artifact_path)).toBe(true)
    expect(artifacts?.[0]?.name).toBe('package-output.txt')
  })

  it('packs a library of Rust, and what make installs', { timeout: 120_000 }, async (context) => {
    await needsProgram(context, workspace, build, 'cargo', '--version')
    await workspace.plant({
      'Cargo.toml': '[package]\nname = "lib"\nversion = "0.2.0"\nedition = "2021"\nlicense = "MIT"\ndescription = "x"\n',
      'src/lib.rs': '',
    })
    expect((await succeed(pack)).output).toMatchObject({ artifact_path: 'target/package/lib-0.2.0.crate' })
    await workspace.clear()
    await workspace.plant({
      Makefile: 'all:\n\techo x > made\ninstall:\n\tmkdir -p $(DESTDIR)/bin && cp made $(DESTDIR)/bin/made\nnothing:\n\ttrue\n',
      'a.c': '',
    })
    expect((await succeed(pack)).output).toMatchObject({ artifact_path: '.workspace-dist' })
    expect(has('.workspace-dist/bin/made')).toBe(true)
  })

  it('names what can be chosen, and says what is missing', { timeout: 60_000 }, async (context) => {
    await plant(context, 'go')
    await workspace.plant({ 'cmd/b/b.go': 'package main\n\nfunc main() {}\n' })
    expect(await fail(pack)).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('choose one by target: example.com/demo, example.com/demo/cmd/b'),
    })
    expect((await succeed(pack, { target: 'cmd/b' })).output).toMatchObject({ artifact_path: '.workspace-dist/app' })
    await workspace.clear()
    await workspace.plant({ 'go.mod': 'module x\n', 'a.go': 'package x\n' })
    expect(await fail(pack)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('no package main') })
    await workspace.clear()
    await workspace.plant({ 'requirements.txt': '' })
    expect(await fail(pack)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('pyproject.toml') })
  })

  it('fails with the output where it does not compile', { timeout: 60_000 }, async (context) => {
    await plant(context, 'go', true)
    const error = await fail(pack)
    expect(error).toMatchObject({ code: 'execution_failed', exitCode: 2, output: { artifact_path: null, exit_code: 2 } })
    expect(error.message).toContain('main.go:3')
  })
})

describe('attacks', () => {
  const refused = [{ target: '-x' }, { target: ' x' }, { target: '' }, { target: 1 }, { target: 'x'.repeat(257) }]
  for (const tool of [build, validate, staticAnalysis, coverageReport, pack]) {
    const { name, policy, requires_approval } = tool.metadata
    it.each(refused.concat([{ no_such_argument: 1 } as never]))(`${name} refuses by its schema %j`, (args) => {
      expect(tool.input.safeParse(args).success).toBe(false)
    })

    it.each([
      ['package.json', '../outside.js'],
      ['pytest.ini', '/etc/passwd'],
      ['Cargo.toml', '/session/secrets/API_TOKEN'],
    ])(`${name} does not leave the workspace in a project of %s by target %s`, async (marker, target) => {
      await workspace.plant({ [marker]: '{}' })
      expect(await fail(tool, { target })).toMatchObject({ code: 'policy_denied' })
    })

    it(`${name} follows no link out, and needs the whole workspace, and no approval`, async () => {
      await workspace.plant({ 'requirements.txt': '' })
      execFileSync('ln', ['-s', '/etc', join(workspace.code, 'link')])
      execFileSync('ln', ['-s', '../secrets/API_TOKEN', join(workspace.code, 'secret')])
      for (const target of ['link', 'link/passwd', 'secret'])
        expect(await fail(tool, { target }), target).toMatchObject({ code: 'policy_denied' })
      expect(policy).toMatchObject({ whole_repository: true, paths: [{ field: 'target', access: 'read' }] })
      expect(await fail(tool, {}, { allowed_paths: ['src'] })).toMatchObject({ code: 'policy_denied' })
      expect([requires_approval, tool.approvalReason({})]).toEqual([false, null])
    })
  }

  it.each([[{ extra_args: ['-exec=/bin/sh'] }], [{ extra_args: ['-toolexec=x'] }], [{ extra_args: ['-run=x'] }]])(
    'repo.build takes only what is listed: %j',
    async (args) => {
      await workspace.plant({ 'go.mod': 'module x\n' })
      expect(await fail(build, args)).toMatchObject({ code: 'policy_denied', details: { rule: 'command_args' } })
      expect(build.metadata.policy.command_args[0]?.allow).not.toContain('-exec=')
    },
  )
})
