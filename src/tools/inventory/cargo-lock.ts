import { type Dependency, dependency } from './dependency-record.ts'

const LONGEST_LINE = 4000

/**
 * The packages of a Cargo.lock. Cargo writes it, one key a line; of TOML only that is read. Packages without a source are the
 * project's own. Pure.
 */
export function parseCargoLock(text: string, most: number): Dependency[] {
  const found: Dependency[] = []
  let current: Map<string, string> | null = null
  const finish = () => {
    const parsed = current?.has('source') ? dependency('cargo', current.get('name'), current.get('version')) : null
    if (parsed && found.length < most) found.push(parsed)
  }
  for (const line of text.split(/\r?\n/)) {
    if (found.length >= most) break
    if (line.length > LONGEST_LINE) continue
    if (line.startsWith('[')) {
      finish()
      current = line.trim() === '[[package]]' ? new Map() : null
      continue
    }
    const pair = /^(name|version|source) *= *"([^"\\]*)"\s*$/.exec(line)
    if (pair && current) current.set(pair[1] as string, pair[2] as string)
  }
  finish()
  return found
}
