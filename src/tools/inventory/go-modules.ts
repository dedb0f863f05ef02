import { type Dependency, dependency } from './dependency-record.ts'

const LONGEST_LINE = 4000

/** The requirements of a go.mod with its replacements, and the version of the language. Pure. */
export function parseGoMod(text: string, most: number): { dependencies: Dependency[]; complete: boolean } {
  const required = new Map<string, string>()
  const replaced = new Map<string, { name: string; version: string | null } | null>()
  let block: string | null = null
  let language = [1, 16]
  for (const raw of text.split(/\r?\n/)) {
    if (required.size >= most) break
    if (raw.length > LONGEST_LINE) continue
    const line = raw.replace(/\/\/.*$/, '').trim()
    if (line === ')') block = null
    else if (/^[a-z]+ *\($/.test(line)) block = line.slice(0, -1).trim()
    else if (line !== '') {
      const words = line.split(/\s+/).map((word) => word.replace(/^["`]|["`]$/g, ''))
      const [directive, ...rest] = block === null ? words : [block, ...words]
      const [first = '', second = ''] = rest
      if (directive === 'go') language = first.split('.').map(Number)
      if (directive === 'require' && second !== '') required.set(first, second)
      if (directive === 'replace') addReplacement(rest, replaced)
    }
  }
  const dependencies: Dependency[] = []
  for (const [name, version] of required) {
    const instead = replaced.get(`${name}@${version}`) ?? replaced.get(name)
    // Replaced by a directory: the project's own.
    if (instead === null) continue
    const parsed = dependency('golang', instead?.name ?? name, instead ? instead.version : version)
    if (parsed) dependencies.push(parsed)
  }
  const [major = 1, minor = 0] = language
  // Since 1.17 it names everything that is needed, also indirectly.
  return { dependencies, complete: major > 1 || minor >= 17 }
}

function addReplacement(words: string[], replaced: Map<string, { name: string; version: string | null } | null>): void {
  const arrow = words.indexOf('=>')
  const [name, version] = words.slice(0, arrow)
  const [to, toVersion] = words.slice(arrow + 1)
  if (arrow < 1 || name === undefined || to === undefined) return
  const key = version === undefined ? name : `${name}@${version}`
  replaced.set(key, /^\.{0,2}\//.test(to) ? null : { name: to, version: toVersion ?? null })
}

/** The modules whose content go.sum vouches for (not those of which only the go.mod was read). Pure. */
export function parseGoSum(text: string, most: number): Dependency[] {
  const found: Dependency[] = []
  for (const line of text.split(/\r?\n/)) {
    if (found.length >= most) break
    if (line.length > LONGEST_LINE) continue
    const [name, version, hash] = line.split(' ')
    if (!hash?.startsWith('h1:') || version?.endsWith('/go.mod')) continue
    const parsed = dependency('golang', name, version)
    if (parsed) found.push(parsed)
  }
  return found
}
