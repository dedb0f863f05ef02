import { type Dependency, dependency } from './dependency-record.ts'
import { normalized } from './pip-requirements.ts'

const LONGEST_LINE = 4000

/**
 * The packages of a poetry.lock or uv.lock. Their tools write them, one key a line; of TOML only that is read. Packages that lie in the
 * repository are the project's own. Pure.
 */
export function parsePythonLock(text: string, most: number): Dependency[] {
  const found: Dependency[] = []
  let current: Map<string, string> | null = null
  let own = false
  const finish = () => {
    const parsed = current && !own ? dependency('pypi', normalized(current.get('name') ?? ''), current.get('version')) : null
    if (parsed && found.length < most) found.push(parsed)
    current = null
    own = false
  }
  let table = ''
  for (const line of text.split(/\r?\n/)) {
    if (found.length >= most) break
    if (line.length > LONGEST_LINE) continue
    if (/^\[[^\]]/.test(line)) {
      table = line.trim()
      if (table === '[[package]]') {
        finish()
        current = new Map()
      } else if (!table.startsWith('[package.') && !table.startsWith('[[package.')) finish()
      continue
    }
    if (table === '[package.source]' && /^type *= *"(?:directory|file)"/.test(line)) own = true
    if (table !== '[[package]]' || current === null) continue
    if (/^source *= *\{ *(?:editable|virtual|directory|path) *=/.test(line)) own = true
    const pair = /^(name|version) *= *"([^"\\]*)"\s*$/.exec(line)
    if (pair) (current as Map<string, string>).set(pair[1] as string, pair[2] as string)
  }
  finish()
  return found
}
