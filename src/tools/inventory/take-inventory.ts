import { posix } from 'node:path'
import type { ToolContext, ToolSandbox } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { typeByMarkers } from '../repo/detect-project.ts'
import { shownPath } from '../workspace-path.ts'
import { parseCargoLock } from './cargo-lock.ts'
import { type Dependency, licenseText } from './dependency-record.ts'
import { parseGoMod, parseGoSum } from './go-modules.ts'
import { parseJsonMap } from './json-object.ts'
import { parsePom } from './maven-pom.ts'
import { type NpmPackage, parseNpmLock, parsePackageJson } from './npm-lock.ts'
import { normalized, parseMetadata, parseRequirements } from './pip-requirements.ts'
import { parsePnpmLock } from './pnpm-lock.ts'
import { parsePythonLock } from './python-lock.ts'
import { readText, readTextIfAllowed } from './read-text.ts'
import { parseYarnLock } from './yarn-lock.ts'

/** Bytes of a lockfile, and of one package's own manifest. */
const LOCKFILE_BYTES = 16 * 1024 * 1024
const MANIFEST_BYTES = 256 * 1024
/** Requirements files that name each other. */
const MOST_INCLUDES = 20
/** Manifests that are read at a time, and altogether. */
const AT_ONCE = 16
const MOST_MANIFESTS = 3000

export interface Inventory {
  project_type: string
  /** Sorted by ecosystem, name and version, each once. */
  dependencies: Dependency[]
  truncated: boolean
  /** The files that were read for it, as paths are shown. */
  sources: string[]
  /** What makes it less than complete. */
  notes: string[]
}

interface Gathering {
  directory: string
  names: ReadonlySet<string>
  most: number
  found: Dependency[]
  sources: string[]
  notes: string[]
  sandbox: ToolSandbox
}

/**
 * What a project depends on, by its lockfiles (of npm, pnpm, Yarn, pip, Poetry, uv, Go, Cargo and Maven) in one directory.
 * It only reads: no package manager runs, and nothing is asked on a network. What the files say is not trusted: sizes and counts
 * are limited, and other files that they name are read only where the session may read.
 *
 * @throws ToolError not_found; execution_failed when a lockfile cannot be read as one
 */
export async function takeInventory(path: string, most: number, { sandbox }: ToolContext): Promise<Inventory> {
  const { entries } = await sandbox.list(path, { recursive: false, max_entries: 5000, skip_git: true })
  const names = new Set(entries.map((entry) => entry.path.slice(entry.path.lastIndexOf('/') + 1)))
  // One more than is asked for, to know whether there are more.
  const gathering: Gathering = { directory: path, names, most: most + 1, found: [], sources: [], notes: [], sandbox }
  await gatherNpm(gathering)
  await gatherPython(gathering)
  await gatherGo(gathering)
  await gatherCargo(gathering)
  await gatherMaven(gathering)
  const dependencies = distinct(gathering.found)
  return {
    project_type: typeByMarkers(names),
    dependencies: dependencies.slice(0, most),
    truncated: dependencies.length > most || gathering.found.length > most * 5,
    sources: gathering.sources,
    notes: gathering.notes,
  }
}

async function source(gathering: Gathering, name: string): Promise<string | null> {
  if (!gathering.names.has(name)) return null
  const path = posix.join(gathering.directory, name)
  const text = await readText(gathering.sandbox, path, LOCKFILE_BYTES)
  if (text !== null) gathering.sources.push(shownPath(path))
  return text
}

/** The first that is there: what npm, pnpm and Yarn would install by is what they wrote last, and one has one of them. */
const NPM_LOCKFILES = new Map([
  ['npm-shrinkwrap.json', parseNpmLock],
  ['package-lock.json', parseNpmLock],
  ['pnpm-lock.yaml', parsePnpmLock],
  ['yarn.lock', parseYarnLock],
])

async function gatherNpm(gathering: Gathering): Promise<void> {
  const lockfile = [...NPM_LOCKFILES.keys()].find((name) => gathering.names.has(name))
  const name = lockfile ?? 'package.json'
  const text = await source(gathering, name)
  if (text === null) return
  const parse = NPM_LOCKFILES.get(name) ?? parsePackageJson
  const packages = parse(text, gathering.most)
  if (!packages) throw new ToolError('execution_failed', `${name} cannot be read as one`)
  if (lockfile === undefined) gathering.notes.push('package.json without a lockfile: only what it names itself, without versions')
  gathering.found.push(...(await withLicenses(packages, gathering)))
}

/** Lockfiles of npm 7 and later mostly have the licence; else the installed package has it, if it is of that version. */
async function withLicenses(packages: NpmPackage[], gathering: Gathering): Promise<Dependency[]> {
  const complete: Dependency[] = []
  let read = 0
  for (let at = 0; at < packages.length; at += AT_ONCE) {
    const batch = packages.slice(at, at + AT_ONCE).map(async ({ directory, ...each }) => {
      if (each.license !== null || directory === null || read++ >= MOST_MANIFESTS) return each
      const path = posix.join(gathering.directory, directory, 'package.json')
      const text = await readTextIfAllowed(gathering.sandbox, path, MANIFEST_BYTES)
      const manifest = text === null ? null : parseJsonMap(text)
      const installed = manifest?.get('version')
      const other = each.version !== null && typeof installed === 'string' && installed !== each.version
      return { ...each, license: other ? null : licenseText(manifest?.get('license') ?? manifest?.get('licenses')) }
    })
    complete.push(...(await Promise.all(batch)))
  }
  return complete
}

async function gatherPython(gathering: Gathering): Promise<void> {
  for (const name of ['poetry.lock', 'uv.lock']) {
    const text = await source(gathering, name)
    if (text !== null) gathering.found.push(...(await withInstalled(parsePythonLock(text, gathering.most), gathering)))
  }
  const first = [...gathering.names].filter((name) => /^requirements[\w.-]{0,60}\.txt$/.test(name)).sort()
  if (first.length === 0) return
  const pending = first.map((name) => posix.join(gathering.directory, name))
  const seen = new Set<string>()
  const found: Dependency[] = []
  for (let path = pending.shift(); path !== undefined; path = pending.shift()) {
    if (seen.has(path)) continue
    if (seen.size >= MOST_INCLUDES) {
      gathering.notes.push(`more than ${MOST_INCLUDES} requirements files: the rest was not read`)
      break
    }
    seen.add(path)
    const text = await readTextIfAllowed(gathering.sandbox, path, LOCKFILE_BYTES)
    if (text === null) {
      gathering.notes.push(`a requirements file could not be read: ${shownPath(path).slice(0, 200)}`)
      continue
    }
    gathering.sources.push(shownPath(path))
    const { dependencies, includes } = parseRequirements(text, gathering.most)
    found.push(...dependencies)
    for (const include of includes) pending.push(posix.join(posix.dirname(path), include))
  }
  if (found.some((each) => each.version === null))
    gathering.notes.push('requirements without an exact version: what would be installed is not settled')
  gathering.found.push(...(await withInstalled(found, gathering)))
}

/** Versions that are not pinned, and licences, from what python.install_deps installed. */
async function withInstalled(found: Dependency[], gathering: Gathering): Promise<Dependency[]> {
  const installed = new Map<string, Dependency>()
  for (const path of await distributions(gathering)) {
    const text = await readTextIfAllowed(gathering.sandbox, `${path}/METADATA`, MANIFEST_BYTES)
    const parsed = text === null ? null : parseMetadata(text)
    if (parsed) installed.set(parsed.name, parsed)
  }
  return found.map((each) => {
    const known = installed.get(normalized(each.name))
    if (!known || (each.version !== null && each.version !== known.version)) return each
    return { ...each, version: known.version, license: known.license }
  })
}

async function distributions({ directory, names, sandbox }: Gathering): Promise<string[]> {
  if (!names.has('.workspace-venv')) return []
  const below = async (path: string) => {
    const entry = await sandbox.stat(path)
    if (entry?.type !== 'dir') return []
    const { entries } = await sandbox.list(path, { recursive: false, max_entries: 5000, skip_git: true })
    return entries.filter((each) => each.type === 'dir').map((each) => each.path)
  }
  const versions = await below(posix.join(directory, '.workspace-venv/lib'))
  const packages = await Promise.all(versions.slice(0, 3).map(async (each) => await below(`${each}/site-packages`)))
  return packages
    .flat()
    .filter((path) => path.endsWith('.dist-info'))
    .slice(0, MOST_MANIFESTS)
}

async function gatherGo(gathering: Gathering): Promise<void> {
  const mod = await source(gathering, 'go.mod')
  if (mod === null) return
  const { dependencies, complete } = parseGoMod(mod, gathering.most)
  gathering.found.push(...dependencies)
  if (complete) return
  const sum = await source(gathering, 'go.sum')
  if (sum !== null) gathering.found.push(...parseGoSum(sum, gathering.most))
}

async function gatherCargo(gathering: Gathering): Promise<void> {
  const lock = await source(gathering, 'Cargo.lock')
  if (lock !== null) gathering.found.push(...parseCargoLock(lock, gathering.most))
  else if (gathering.names.has('Cargo.toml')) gathering.notes.push('Cargo.toml without a Cargo.lock: cargo build makes one')
}

async function gatherMaven(gathering: Gathering): Promise<void> {
  const text = await source(gathering, 'pom.xml')
  if (text === null) return
  const parsed = parsePom(text, gathering.most)
  if (!parsed) throw new ToolError('execution_failed', 'pom.xml cannot be read as one')
  gathering.notes.push('pom.xml: what it names itself, without what that depends on')
  gathering.found.push(...parsed)
}

/** Of two that only differ in the licence, the one that has it. */
function distinct(all: Dependency[]): Dependency[] {
  const byKey = new Map<string, Dependency>()
  for (const each of all) {
    const key = JSON.stringify([each.ecosystem, each.name, each.version])
    const before = byKey.get(key)
    if (!before || before.license === null) byKey.set(key, each)
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, each]) => each)
}
