import type { ToolContext } from '../../../catalog/define-tool.ts'
import { ToolError } from '../../../domain/errors.ts'
import { coveragePercent } from '../../toolchain/coverage-percent.ts'
import type { Project } from '../detect-project.ts'
import { type CoveragePlan, DIST, type Plan, type PlanRequest, prepareDirectory, succeeds, type Toolchain } from './toolchain.ts'

/** The environment that python.install_deps makes. */
export const VENV = '.workspace-venv'
export const VENV_PYTHON = `${VENV}/bin/python3`

/** Environments and dependencies are not the project's own sources. */
const NOT_SOURCES = String.raw`(^|/)(\.git|\.?venv|\.workspace-[a-z]+|node_modules|\.tox)(/|$)`

/** A target is a file or directory; for tests also a pytest node id. */
export const pythonToolchain: Toolchain = {
  build_system: () => 'pip',
  test_framework: () => 'pytest',
  test: async ({ project, target, extra, context }) => {
    const python = await pythonOf(context)
    const given = target === undefined ? [] : [target]
    if (await hasPytest(python, context)) return { commands: [[python, '-m', 'pytest', ...extra, ...given]] }
    context.log('pytest is not installed: running unittest')
    return { commands: [[python, ...(await unittest(project, given, extra, context))]] }
  },
  build: compileAll,
  validate: compileAll,
  analyse: compileAll,
  async coverage({ project, target, context }) {
    const python = await pythonOf(context)
    const given = target === undefined ? [] : [target]
    const plan = (...commands: string[][]): CoveragePlan => ({
      commands: commands.map((command) => [python, ...command]),
      env: { COVERAGE_FILE: '/tmp/cloister-coverage' },
      percentOf: coveragePercent,
    })
    const pytest = await hasPytest(python, context)
    if (pytest && (await succeeds(context, [python, '-c', 'import pytest_cov'])))
      return plan(['-m', 'pytest', '--cov=.', '--cov-report=term', ...given])
    if (!(await succeeds(context, [python, '-c', 'import coverage'])))
      return { unsupported: 'neither pytest-cov nor coverage is installed for this python3' }
    const run = pytest ? ['-m', 'pytest', ...given] : await unittest(project, given, [], context)
    return plan(['-m', 'coverage', 'run', '--source=.', ...run], ['-m', 'coverage', 'report'])
  },
  async package({ project, target, context }) {
    if (!['pyproject.toml', 'setup.py', 'setup.cfg'].some((name) => project.root.has(name)) && target === undefined)
      throw new ToolError('execution_failed', 'nothing says how to package it: there is no pyproject.toml, setup.py or setup.cfg')
    await prepareDirectory(context, DIST)
    const python = await pythonOf(context)
    const source = target === undefined ? '.' : target.startsWith('/') ? target : `./${target}`
    return {
      commands: [
        [python, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--disable-pip-version-check', '-w', DIST, source],
      ],
      env: { PIP_NO_CACHE_DIR: '1', PIP_NO_INPUT: '1' },
      findArtifact: async (output) => {
        const name = /filename=([\w.+-]+\.whl)\b/.exec(output)?.[1]
        if (name === undefined) throw new ToolError('execution_failed', 'pip made no wheel')
        return `${DIST}/${name}`
      },
    }
  },
}

/** The interpreter of the environment that python.install_deps makes, else the system's. */
export async function pythonOf({ sandbox }: ToolContext): Promise<string> {
  return (await sandbox.stat(VENV_PYTHON)) ? VENV_PYTHON : 'python3'
}

export async function hasPytest(python: string, { sandbox }: ToolContext): Promise<boolean> {
  const probe = await sandbox.run([python, '-c', 'import pytest'], { without_secrets: true, quiet: true, timeout_seconds: 30 })
  return probe.exit_code === 0
}

/** Bytecode is written outside of the workspace. */
async function compileAll({ target, extra, context }: PlanRequest): Promise<Plan> {
  const python = await pythonOf(context)
  const quiet = extra.includes('-q') ? '-qq' : '-q'
  return {
    commands: [[python, '-m', 'compileall', '-f', quiet, '-x', NOT_SOURCES, target ?? '.']],
    env: { PYTHONPYCACHEPREFIX: '/tmp/cloister-pycache' },
  }
}

async function unittest(project: Project, given: string[], extra: string[], { sandbox }: ToolContext): Promise<string[]> {
  const options = unittestOptions(extra)
  if (given.length > 0) return ['-m', 'unittest', ...options, ...given]
  // Discovery from the root goes only into packages.
  for (const directory of ['tests', 'test']) {
    if (project.root.has(directory) && !(await sandbox.stat(`${directory}/__init__.py`)))
      return ['-m', 'unittest', 'discover', ...options, '-s', directory, '-t', directory]
  }
  return ['-m', 'unittest', 'discover', ...options]
}

/** What unittest has of pytest's options. Verbose unless told to be quiet: names are printed then. */
function unittestOptions(extra: string[]): string[] {
  const options = extra.includes('-q') ? [] : ['-v']
  if (extra.some((option) => option === '-x' || option === '--maxfail=1')) options.push('-f')
  for (const option of extra) if (option.startsWith('-k=')) options.push('-k', option.slice('-k='.length))
  return options
}
