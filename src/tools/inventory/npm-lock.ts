import { type Dependency, dependency } from './dependency-record.ts'
import { asMap, type JsonMap, parseJsonMap } from './json-object.ts'

/** What a lockfile lists, and where each package lies, for those whose licence only the package itself tells. */
export interface NpmPackage extends Dependency {
  /** Relative to the lockfile; null: not known (lockfiles before npm 7). */
  directory: string | null
}

/** Nesting of `dependencies` in lockfiles before npm 7. */
const DEEPEST = 50

/** package-lock.json and npm-shrinkwrap.json of all versions. Links to the project's own packages are left out. Null: neither. Pure. */
export function parseNpmLock(text: string, most: number): NpmPackage[] | null {
  const lock = parseJsonMap(text)
  if (!lock) return null
  const packages = asMap(lock.get('packages'))
  if (packages) return fromPackages(packages, most)
  const dependencies = asMap(lock.get('dependencies'))
  if (dependencies) return fromDependencies(dependencies, most)
  return lock.has('lockfileVersion') ? [] : null
}

function fromPackages(packages: JsonMap, most: number): NpmPackage[] {
  const found: NpmPackage[] = []
  for (const [path, value] of packages) {
    if (found.length >= most) break
    const entry = asMap(value)
    const at = path.lastIndexOf('node_modules/')
    // The project itself, its workspaces, and links to them.
    if (!entry || at === -1 || entry.get('link') === true) continue
    const name = entry.get('name') ?? path.slice(at + 'node_modules/'.length)
    const parsed = dependency('npm', name, entry.get('version'), entry.get('license'))
    if (parsed) found.push({ ...parsed, directory: path })
  }
  return found
}

function fromDependencies(dependencies: JsonMap, most: number): NpmPackage[] {
  const found: NpmPackage[] = []
  let level = [...dependencies]
  for (let depth = 0; depth < DEEPEST && level.length > 0; depth++) {
    const below: [string, unknown][] = []
    for (const [name, value] of level) {
      if (found.length >= most) return found
      const entry = asMap(value)
      const version = entry?.get('version')
      if (!entry || (typeof version === 'string' && version.startsWith('file:'))) continue
      const parsed = dependency('npm', name, version)
      if (parsed) found.push({ ...parsed, directory: null })
      below.push(...(asMap(entry.get('dependencies')) ?? []))
    }
    level = below
  }
  return found
}

/** What a package.json asks for, where nothing is locked: a version only where exactly one is asked for. Null: no package.json. Pure. */
export function parsePackageJson(text: string, most: number): NpmPackage[] | null {
  const manifest = parseJsonMap(text)
  if (!manifest) return null
  const wanted = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((field) => [
    ...(asMap(manifest.get(field)) ?? []),
  ])
  return wanted.slice(0, most).flatMap(([name, range]) => {
    const exact = typeof range === 'string' && /^\d+\.\d+\.\d+(?:[-+][\w.+-]+)?$/.test(range) ? range : null
    const parsed = dependency('npm', name, exact)
    return parsed ? [{ ...parsed, directory: `node_modules/${name}` }] : []
  })
}
