import type { ToolSandbox } from '../../catalog/define-tool.ts'
import { displayPath } from '../../domain/path.ts'

export type ProjectType = 'go' | 'rust' | 'node' | 'python' | 'java' | 'c' | 'unknown'

/** What a repository is, by the files at its root. */
export interface Project {
  type: ProjectType
  /** node: `typescript` or `npm`. java: `maven` or `gradle`. c: `cmake` or `make`. Else null. */
  flavor: string | null
  /** Names of the files and directories at the root. */
  root: ReadonlySet<string>
}

/** First hit counts, in this order. */
const MARKERS: [ProjectType, string[]][] = [
  ['go', ['go.mod']],
  ['rust', ['Cargo.toml']],
  ['node', ['package.json']],
  ['python', ['pytest.ini', 'pyproject.toml', 'requirements.txt']],
  ['java', ['mvnw', 'pom.xml', 'gradlew', 'build.gradle', 'build.gradle.kts']],
  ['c', ['CMakeLists.txt']],
]

const ROOT_LIMIT = 1000
const C_LEVELS = 3
/** Directories that are looked into for *.c; a tree wider than this is no small C project without a build file. */
const C_DIRECTORIES = 100

/** Looks at the root of the workspace, and for C up to three levels below. Reads no file. */
export async function detectProject(sandbox: ToolSandbox): Promise<Project> {
  const { entries } = await sandbox.list('.', { recursive: false, max_entries: ROOT_LIMIT, skip_git: true })
  const names = new Set(entries.map((entry) => displayPath(entry.path)))
  const type = typeByMarkers(names)
  if (type !== 'unknown') return { type, flavor: flavorOf(type, names), root: names }
  return (await findCSources(sandbox, 1)).length > 0
    ? { type: 'c', flavor: flavorOf('c', names), root: names }
    : { type, flavor: null, root: names }
}

/** What the markers are, for whoever is told that there is none. */
export const KNOWN_MARKERS = `${MARKERS.flatMap(([, markers]) => markers).join(', ')} or a C source`

/** By the names at the root alone. Pure. */
export function typeByMarkers(names: ReadonlySet<string>): ProjectType {
  return MARKERS.find(([, markers]) => markers.some((marker) => names.has(marker)))?.[0] ?? 'unknown'
}

/** Pure. */
export function flavorOf(type: ProjectType, names: ReadonlySet<string>): string | null {
  switch (type) {
    case 'node':
      return names.has('tsconfig.json') ? 'typescript' : 'npm'
    case 'java':
      return names.has('mvnw') || names.has('pom.xml') ? 'maven' : 'gradle'
    case 'c':
      return names.has('CMakeLists.txt') ? 'cmake' : 'make'
    default:
      return null
  }
}

/**
 * Paths of C sources up to three levels below the root, level by level, at most `most`. Hidden directories hold no sources of the
 * project.
 */
export async function findCSources(sandbox: ToolSandbox, most: number): Promise<string[]> {
  const sources: string[] = []
  let level = ['.']
  let seen = 0
  for (let depth = 1; depth <= C_LEVELS && level.length > 0; depth++) {
    const below: string[] = []
    for (const directory of level) {
      if (++seen > C_DIRECTORIES) return sources
      const { entries } = await sandbox.list(directory, { recursive: false, max_entries: ROOT_LIMIT, skip_git: true })
      for (const entry of entries) {
        if (entry.type === 'file' && entry.path.endsWith('.c')) sources.push(displayPath(entry.path))
        if (sources.length >= most) return sources
      }
      below.push(...entries.filter((entry) => entry.type === 'dir' && !/\/\.[^/]*$/.test(entry.path)).map((entry) => entry.path))
    }
    level = below
  }
  return sources
}
