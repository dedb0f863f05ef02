import { ToolError } from '../../../domain/errors.ts'
import { coveragePercent } from '../../toolchain/coverage-percent.ts'
import { npmScripts } from '../npm-scripts.ts'
import { type CoveragePlan, DIST, type Plan, type PlanRequest, prepareDirectory, succeeds, type Toolchain } from './toolchain.ts'

export const BIN = 'node_modules/.bin'

/** A target is what the project's own script takes after `--`: mostly a file. */
export const nodeToolchain: Toolchain = {
  build_system: () => 'npm',
  test_framework: () => 'npm-test',
  test: ({ target }) => ({ commands: [['npm', 'test', ...after(target)]] }),
  build: async (request) => await runScript(request, 'build', 'nothing to build'),
  validate: async (request) => {
    const scripts = await npmScripts(request.context)
    if (scripts['typecheck'] !== undefined) return { commands: [['npm', 'run', 'typecheck', ...after(request.target)]] }
    if (request.project.flavor !== 'typescript') return await checkScripts(request)
    if (!(await succeeds(request.context, ['test', '-x', `${BIN}/tsc`])))
      throw new ToolError(
        'execution_failed',
        `TypeScript is not installed (there is no ${BIN}/tsc), and package.json has no script "typecheck"`,
      )
    return { commands: [[`${BIN}/tsc`, '--noEmit', '--pretty', 'false', '-p', request.target ?? '.']] }
  },
  analyse: async (request) => await runScript(request, 'lint', 'nothing was analysed'),
  coverage: async ({ target, context }) => {
    const scripts = await npmScripts(context)
    const plan = (command: string[]): CoveragePlan => ({ commands: [command], percentOf: coveragePercent })
    for (const name of ['coverage', 'test:coverage'])
      if (scripts[name] !== undefined) return plan(['npm', 'run', name, ...after(target)])
    const given = target === undefined ? [] : [target]
    const provider = [`test`, '-d', 'node_modules/@vitest/coverage-v8', '-o', '-d', 'node_modules/@vitest/coverage-istanbul']
    if ((await succeeds(context, ['test', '-x', `${BIN}/vitest`])) && (await succeeds(context, provider)))
      return plan([`${BIN}/vitest`, 'run', '--coverage', '--coverage.reporter=text', ...given])
    if (await succeeds(context, ['test', '-x', `${BIN}/jest`]))
      return plan([`${BIN}/jest`, '--ci', '--coverage', '--coverageReporters=text', ...given])
    const script = scripts['test'] ?? ''
    // Not settable by NODE_OPTIONS; npm runs the project's own script, with one option more.
    if (/\bnode\b[^|&;]*\s--test(?=\s|$)/.test(script) && given.length === 0)
      return plan(['npm', 'exec', '--offline', '-c', script.replace(/(\s--test)(?=\s|$)/, '$1 --experimental-test-coverage')])
    return {
      unsupported:
        'package.json has no script "coverage" or "test:coverage", its tests are not run by node --test, and neither jest nor vitest with a coverage provider is installed',
    }
  },
  async package({ target, context }) {
    await prepareDirectory(context, DIST)
    const folder = target === undefined ? [] : [target.startsWith('/') ? target : `./${target}`]
    return {
      commands: [['npm', 'pack', '--offline', '--pack-destination', DIST, ...folder]],
      findArtifact: async (output) => {
        const name = output.split('\n').findLast((line) => /^[\w.-]+\.tgz$/.test(line))
        if (name === undefined) throw new ToolError('execution_failed', 'npm pack named no archive')
        return `${DIST}/${name}`
      },
    }
  },
}

function after(target: string | undefined): string[] {
  return target === undefined ? [] : ['--', target]
}

async function runScript({ target, context }: PlanRequest, name: string, otherwise: string): Promise<Plan> {
  const scripts = await npmScripts(context)
  const command = ['npm', 'run', name, '--if-present', ...after(target)]
  if (scripts[name] !== undefined) return { commands: [command] }
  return { commands: [command], note: `package.json has no script "${name}": ${otherwise}` }
}

/** `node --check` reads one file at a time. What .gitignore names is left out. */
async function checkScripts({ target, context }: PlanRequest): Promise<Plan> {
  const where = target === undefined ? './' : target.startsWith('/') ? target : `./${target}`
  const options = ['--no-config', '--no-require-git', '--no-follow', '--no-messages', '--sort=path', '-0']
  const globs = ['--glob=*.{js,mjs,cjs}', '--glob=!node_modules', '--glob=!.git']
  const listed = await context.sandbox.run(['rg', '--files', ...options, ...globs, '--', where], {
    without_secrets: true,
    quiet: true,
    stop_after_bytes: 256 * 1024,
  })
  const files = listed.stdout.slice(0, listed.stdout.lastIndexOf('\0') + 1)
  const checker = ['xargs', '-0', '-r', '-n', '1', '-P', '2', 'node', '--check']
  const count = files.split('\0').length - 1
  const more = listed.stopped ? ` (the first ${count}; there are more)` : ''
  return { commands: [checker], stdin: files, note: `checked ${count} files${more}` }
}
