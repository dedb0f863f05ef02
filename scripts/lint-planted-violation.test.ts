import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')

/** Who may import whom, as docs/architecture.md has it; written down here a second time on purpose. */
const MAY_IMPORT: Record<string, string[]> = {
  domain: [],
  policy: ['domain'],
  store: ['domain'],
  artifacts: ['domain'],
  telemetry: ['domain'],
  agent: ['domain', 'telemetry'],
  sandbox: ['domain'],
  host: [],
  catalog: ['domain'],
  tools: ['domain'],
  connectors: ['domain'],
  services: ['domain', 'catalog', 'telemetry'],
  http: ['domain', 'services', 'telemetry'],
  mcp: ['domain', 'services'],
  operator: ['domain', 'services'],
  client: ['domain'],
  cli: ['client'],
}

/** Single modules of a folder that is closed otherwise: interfaces and wire types. */
const MAY_IMPORT_MODULES: Record<string, string[]> = {
  sandbox: ['host/wire.ts'],
  catalog: ['host/wire.ts', 'sandbox/sandbox.ts', 'sandbox/sandbox-errors.ts'],
  tools: ['host/wire.ts', 'sandbox/sandbox.ts', 'sandbox/sandbox-errors.ts', 'catalog/define-tool.ts'],
  connectors: ['host/wire.ts', 'sandbox/sandbox.ts', 'sandbox/sandbox-errors.ts', 'catalog/define-tool.ts'],
  operator: ['store/store.ts', 'sandbox/sandbox-driver.ts'],
  services: [
    'host/wire.ts',
    'sandbox/sandbox.ts',
    'sandbox/sandbox-driver.ts',
    'sandbox/sandbox-errors.ts',
    'store/store.ts',
    'artifacts/artifact-store.ts',
    'policy/policy-engine.ts',
    'agent/turn.ts',
  ],
}

/** Concrete things that only main.ts constructs. */
const CONCRETE = [
  'store/sql/sql-store.ts',
  'sandbox/bubblewrap/driver.ts',
  'artifacts/local/store.ts',
  'agent/providers/model.ts',
  'connectors/http/http-client.ts',
]

const FOLDERS = Object.keys(MAY_IMPORT)

interface Finding {
  rule: string
  file: string
  line: number
}

let copy: string

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'cloister-lint-'))
  for (const file of ['biome.json', 'biome.imports.json', '.gitignore']) cpSync(join(ROOT, file), join(copy, file))
})

afterAll(() => rmSync(copy, { recursive: true, force: true }))

function plant(path: string, lines: string[]): string {
  mkdirSync(dirname(join(copy, path)), { recursive: true })
  writeFileSync(join(copy, path), `${lines.join('\n')}\n`)
  return path
}

function lint(): Finding[] {
  const biome = join(ROOT, 'node_modules', '@biomejs', 'biome', 'bin', 'biome')
  const args = [biome, 'lint', '--reporter=json', '--max-diagnostics=none', '--diagnostic-level=error', '.']
  let out: string
  try {
    out = execFileSync(process.execPath, args, {
      cwd: copy,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 2 ** 26,
    })
  } catch (error) {
    out = (error as { stdout: string }).stdout
  }
  const { diagnostics } = JSON.parse(out) as {
    diagnostics: { category: string; location: { path: string; start: { line: number } } }[]
  }
  return diagnostics.map((found) => ({ rule: found.category, file: found.location.path, line: found.location.start.line }))
}

describe('the import table', () => {
  /** [folder, importing file, imported module, allowed] */
  const planted: { file: string; line: number; module: string; allowed: boolean }[] = []
  let findings: Finding[]

  beforeAll(() => {
    for (const folder of FOLDERS)
      for (const depth of ['', 'deep/', 'deep/deeper/']) {
        const up = '../'.repeat(depth.split('/').length)
        const others = FOLDERS.filter((other) => other !== folder)
        const wholesale = others.map((other) => ({
          module: `${other}/planted.ts`,
          allowed: MAY_IMPORT[folder]?.includes(other) ?? false,
        }))
        const single = (MAY_IMPORT_MODULES[folder] ?? []).map((module) => ({ module, allowed: true }))
        const concrete = CONCRETE.filter((module) => !module.startsWith(`${folder}/`)).map((module) => ({
          module,
          allowed: false,
        }))
        const roots = ['main.ts', 'config.ts'].map((module) => ({ module, allowed: false }))
        const imports = [...wholesale, ...single, ...concrete, ...roots]
          // What is planted wholesale in agent/ stands for its interfaces, which services may import.
          .filter(({ module }) => !(folder === 'services' && module === 'agent/planted.ts'))
        const file = `src/${folder}/${depth}planted.ts`
        plant(
          file,
          imports.map(({ module }, index) => `export { a as a${index} } from '${up}${module}'`),
        )
        for (const [index, { module, allowed }] of imports.entries()) planted.push({ file, line: index + 1, module, allowed })
      }
    findings = lint().filter(({ rule }) => rule === 'lint/style/noRestrictedImports')
  })

  test('has a row for every folder of src', () => {
    const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(FOLDERS).toEqual(expect.arrayContaining(folders.map((entry) => entry.name)))
  })

  test.each(FOLDERS)('%s: what it may not import is reported, what it may is not', (folder) => {
    const here = planted.filter(({ file }) => file.startsWith(`src/${folder}/`))
    const reported = here.filter(({ file, line }) => findings.some((found) => found.file === file && found.line === line))
    expect(reported).toEqual(here.filter(({ allowed }) => !allowed))
    expect(reported.length).toBeGreaterThan(30)
  })

  test('holds for every way to import', () => {
    const file = plant('src/domain/ways.ts', [
      "import '../store/a.ts'",
      "import type { B } from '../store/b.ts'",
      "export * from '../store/c.ts'",
      "export const d = () => import('../store/d.ts')",
      'export type E = B',
      "export { env } from 'node:process'",
    ])
    const lines = lint().filter((found) => found.file === file && found.rule === 'lint/style/noRestrictedImports')
    expect(lines.map(({ line }) => line).sort()).toEqual([1, 2, 3, 4, 6])
  })

  test('leaves tests alone, which run real parts', () => {
    const file = plant('src/policy/planted.test.ts', ["export { a } from '../store/sql/sql-store.ts'"])
    expect(lint().filter((found) => found.file === file)).toEqual([])
  })
})

describe('other rules', () => {
  test.each([
    [
      'process.env outside config.ts',
      'lint/style/noProcessEnv',
      'src/services/planted-env.ts',
      ['export const home = process.env.HOME'],
      1,
    ],
    [
      'a floating promise',
      'lint/nursery/noFloatingPromises',
      'src/services/planted-promise.ts',
      ['async function work(): Promise<void> {}', 'export function start(): void {', '  work()', '}'],
      3,
    ],
  ])('%s is reported', (_what, rule, path, lines, line) => {
    plant(path, lines)
    expect(lint()).toContainEqual({ rule, file: path, line })
  })

  test('an import cycle is reported', () => {
    plant('src/domain/cycle-a.ts', ["import { b } from './cycle-b.ts'", 'export const a = () => b()'])
    plant('src/domain/cycle-b.ts', ["import { a } from './cycle-a.ts'", 'export const b = (): unknown => a()'])
    expect(lint()).toContainEqual({ rule: 'lint/suspicious/noImportCycles', file: 'src/domain/cycle-a.ts', line: 1 })
  })

  test.each(['src/config.ts', 'src/cli/environment.ts', 'src/connectors/stdio/bridge.ts'])('%s may read process.env', (path) => {
    plant(path, ['export const home = process.env.HOME'])
    expect(lint().filter((found) => found.file === path)).toEqual([])
  })
})
