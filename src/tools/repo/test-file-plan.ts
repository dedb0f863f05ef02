import { posix } from 'node:path'
import type { ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { displayPath } from '../../domain/path.ts'
import { npmScripts } from './npm-scripts.ts'
import { goTextOfJson } from './test-output/go-test.ts'
import { BIN } from './toolchains/node.ts'
import { hasPytest, pythonOf } from './toolchains/python.ts'
import { type Plan, succeeds } from './toolchains/toolchain.ts'

/** A test file: where it lies (relative to the workspace), what it holds, and which of its tests are wanted. */
export interface TestFile {
  path: string
  content: string
  pattern: string | undefined
}

type Planner = (file: TestFile, context: ToolContext) => Promise<Plan> | Plan

const PLANNERS: Record<string, Planner> = {
  '.go': planGo,
  '.py': planPython,
  '.rs': planRust,
  '.js': planNode,
  '.mjs': planNode,
  '.cjs': planNode,
  '.jsx': planNode,
  '.ts': planNode,
  '.mts': planNode,
  '.cts': planNode,
  '.tsx': planNode,
}

/** @throws ToolError invalid_argument for another kind of file */
export function requireTestFile(path: string): void {
  if (!Object.hasOwn(PLANNERS, posix.extname(path)))
    throw new ToolError(
      'invalid_argument',
      `${path} is no test file that can be run: its name must end with one of ${Object.keys(PLANNERS).join(' ')}`,
    )
}

/** @throws ToolError invalid_argument, or execution_failed when there is no way to run it */
export async function planTestFile(file: TestFile, context: ToolContext): Promise<Plan> {
  requireTestFile(file.path)
  return await (PLANNERS[posix.extname(file.path)] as Planner)(file, context)
}

function planGo({ path, content, pattern }: TestFile): Plan {
  const names = [...content.matchAll(/^func ((?:Test|Example|Fuzz)\w*)\s*\(/gm)].map((match) => match[1])
  if (names.length === 0) throw new ToolError('execution_failed', `${path} holds no test of Go`)
  const chosen = pattern ?? `^(?:${names.slice(0, 500).join('|')})$`
  return {
    commands: [['go', 'test', '-json', `-run=${chosen}`, `./${posix.dirname(path)}`.replace(/\/\.$/, '/')]],
    readable: goTextOfJson,
  }
}

async function planPython({ path, pattern }: TestFile, context: ToolContext): Promise<Plan> {
  const python = await pythonOf(context)
  const filter = pattern === undefined ? [] : ['-k', pattern]
  const runner = (await hasPytest(python, context)) ? ['pytest'] : ['unittest', '-v']
  return { commands: [[python, '-m', ...runner, ...filter, `./${path}`.replace(/^\.\/(?!-)/, '')]] }
}

/** The runner that the project's own script names and that is installed; without one, Node's. */
async function planNode({ path, pattern }: TestFile, context: ToolContext): Promise<Plan> {
  const script = (await context.sandbox.stat('package.json')) ? ((await npmScripts(context))['test'] ?? '') : ''
  const installed = async (runner: string) =>
    script.includes(runner) && (await succeeds(context, ['test', '-x', `${BIN}/${runner}`]))
  const file = `./${path}`
  const named = (option: string) => (pattern === undefined ? [] : [option, pattern])
  if (await installed('vitest')) return { commands: [[`${BIN}/vitest`, 'run', ...named('-t'), path]] }
  if (await installed('jest')) return { commands: [[`${BIN}/jest`, '--ci', ...named('-t'), '--runTestsByPath', file]] }
  if (await installed('mocha')) return { commands: [[`${BIN}/mocha`, ...named('--grep'), file]] }
  const typescript = /\.[cm]?tsx?$/.test(path)
  const loader = typescript && (await succeeds(context, ['test', '-d', 'node_modules/tsx'])) ? ['--import', 'tsx'] : []
  const filter = pattern === undefined ? [] : [`--test-name-pattern=${pattern}`]
  return { commands: [['node', ...loader, '--test', ...filter, file]] }
}

/** In the package that the file belongs to: a file of integration tests, or a module. */
async function planRust({ path, pattern }: TestFile, { sandbox }: ToolContext): Promise<Plan> {
  let root = posix.dirname(path)
  while (!(await sandbox.stat(`${root}/Cargo.toml`))) {
    if (root === '.') throw new ToolError('execution_failed', `${path} belongs to no package: there is no Cargo.toml above it`)
    root = posix.dirname(root)
  }
  const manifest = root === '.' ? [] : ['--manifest-path', `./${root}/Cargo.toml`]
  const command = ['cargo', 'test', '--offline', '--no-fail-fast', ...manifest]
  const inside = posix.relative(root, path)
  const integration = /^tests\/([^/]+)(?:\.rs|\/main\.rs)$/.exec(inside)?.[1]
  const filter = (name: string | undefined) => (name === undefined ? [] : ['--', name])
  if (integration !== undefined) return { commands: [[...command, '--test', integration, ...filter(pattern)]] }
  const module = /^src\/(.+?)(?:\/mod)?\.rs$/.exec(inside)?.[1]
  if (module === undefined)
    throw new ToolError('invalid_argument', `${displayPath(path)} lies neither in src nor in tests of its package`)
  const prefix = module === 'lib' || module === 'main' ? undefined : `${module.replaceAll('/', '::')}::`
  return { commands: [[...command, ...filter(pattern ?? prefix)]] }
}
