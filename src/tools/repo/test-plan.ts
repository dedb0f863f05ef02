import type { ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import type { Project } from './detect-project.ts'
import { goTextOfJson } from './test-output/go-test.ts'

/** How a project's tests are run: commands in order, the last one being the tests; one that fails ends the run. */
export interface TestPlan {
  commands: string[][]
  /** Turns what the runner printed into what a person would want to read. */
  readable?: (output: string) => string
}

/** Where CMake builds, so that the project's own build directory stays as it is. */
const BUILD = '.workspace-build'
const VENV_PYTHON = '.workspace-venv/bin/python3'

/** @throws ToolError execution_failed when it is not known how, with what would make it known */
export async function planTests(
  project: Project,
  target: string | undefined,
  extra: string[],
  context: ToolContext,
): Promise<TestPlan> {
  const given = target === undefined ? [] : [target]
  switch (project.type) {
    case 'go':
      return {
        commands: [['go', 'test', '-json', ...extra, target === undefined ? './...' : goPackage(target)]],
        readable: goTextOfJson,
      }
    case 'rust':
      return { commands: [['cargo', 'test', '--offline', '--no-fail-fast', ...extra, ...given]] }
    case 'node':
      return { commands: [['npm', 'test', ...(given.length > 0 ? ['--', ...given] : [])]] }
    case 'python':
      return await planPython(project, given, extra, context)
    case 'java':
      return { commands: [javaCommand(project, target, extra, context)] }
    case 'c':
      return await planC(project, given, context)
    case 'unknown':
      throw new ToolError(
        'execution_failed',
        'no known kind of project: none of go.mod, Cargo.toml, package.json, pytest.ini, pyproject.toml, requirements.txt, pom.xml, build.gradle, CMakeLists.txt or a C source was found at the root of the workspace',
      )
  }
}

/** A directory needs "./" before it, else go takes it for a package of the standard library. */
function goPackage(target: string): string {
  return target.startsWith('.') || target.startsWith('/') || target.split('/')[0]?.includes('.') ? target : `./${target}`
}

async function planPython(project: Project, given: string[], extra: string[], context: ToolContext): Promise<TestPlan> {
  const { sandbox } = context
  const python = (await sandbox.stat(VENV_PYTHON)) ? VENV_PYTHON : 'python3'
  const probe = await sandbox.run([python, '-c', 'import pytest'], { without_secrets: true, quiet: true, timeout_seconds: 30 })
  if (probe.exit_code === 0) return { commands: [[python, '-m', 'pytest', ...extra, ...given]] }
  context.log('pytest is not installed: running unittest')
  const options = unittestOptions(extra)
  if (given.length > 0) return { commands: [[python, '-m', 'unittest', ...options, ...given]] }
  // Discovery from the root goes only into packages.
  for (const directory of ['tests', 'test']) {
    if (project.root.has(directory) && !(await sandbox.stat(`${directory}/__init__.py`)))
      return { commands: [[python, '-m', 'unittest', 'discover', ...options, '-s', directory, '-t', directory]] }
  }
  return { commands: [[python, '-m', 'unittest', 'discover', ...options]] }
}

/** What unittest has of pytest's options. Verbose unless told to be quiet: names are printed then. */
function unittestOptions(extra: string[]): string[] {
  const options = extra.includes('-q') ? [] : ['-v']
  if (extra.some((option) => option === '-x' || option === '--maxfail=1')) options.push('-f')
  for (const option of extra) if (option.startsWith('-k=')) options.push('-k', option.slice('-k='.length))
  return options
}

/** Downloads need a network, which most sessions do not have; offline the builder says at once what is missing. */
function javaCommand(project: Project, target: string | undefined, extra: string[], context: ToolContext): string[] {
  const offline = context.session.network === 'none'
  const quiet = extra.includes('-q') ? ['-q'] : []
  const chosen = extra.find((option) => option.startsWith('-Dtest='))?.slice('-Dtest='.length) ?? target
  if (project.flavor === 'maven') {
    const maven = project.root.has('mvnw') ? './mvnw' : 'mvn'
    return [maven, '-B', ...(offline ? ['-o'] : []), ...quiet, ...(chosen === undefined ? [] : [`-Dtest=${chosen}`]), 'test']
  }
  const gradle = project.root.has('gradlew') ? './gradlew' : 'gradle'
  const filter = chosen === undefined ? [] : ['--tests', chosen]
  return [gradle, '--console=plain', '--no-daemon', ...(offline ? ['--offline'] : []), ...quiet, 'test', ...filter]
}

async function planC(project: Project, given: string[], { sandbox }: ToolContext): Promise<TestPlan> {
  if (project.flavor === 'cmake') {
    // Git shows nothing of it.
    await sandbox.write(`${BUILD}/.gitignore`, '*\n', { create_parents: true })
    return {
      commands: [
        ['cmake', '-S', '.', '-B', BUILD],
        ['cmake', '--build', BUILD],
        ['ctest', '--test-dir', BUILD, '--output-on-failure', '--no-tests=error', ...(given.length > 0 ? ['-R', ...given] : [])],
      ],
    }
  }
  if (project.root.has('Makefile') || project.root.has('makefile') || project.root.has('GNUmakefile'))
    return { commands: [['make', ...(given.length > 0 ? given : ['test'])]] }
  throw new ToolError(
    'execution_failed',
    'a C project without CMakeLists.txt or Makefile at its root: there is no way to run its tests',
  )
}
