import { dependency } from './dependency-record.ts'
import type { NpmPackage } from './npm-lock.ts'

/** Many ranges of one package stand in one line. */
const LONGEST_LINE = 20_000

/**
 * The packages of a yarn.lock, of Yarn 1 and later. Yarn writes it, one key a line; only that is read. Packages that lie in the
 * repository are the project's own. Null: it is none. Pure.
 */
export function parseYarnLock(text: string, most: number): NpmPackage[] | null {
  if (!/^# yarn lockfile v1$|^__metadata:/m.test(text.slice(0, 4000))) return null
  const found: NpmPackage[] = []
  let name: string | null = null
  for (const line of text.split(/\r?\n/)) {
    if (found.length >= most) break
    if (line.length > LONGEST_LINE) continue
    if (/^[^\s#].*:$/.test(line)) {
      name = publishedName(line.slice(0, -1))
      continue
    }
    const version = /^ {2}version:? "?([^"\s]+)"?$/.exec(line)?.[1]
    const parsed = name !== null && version !== undefined ? dependency('npm', name, version) : null
    if (parsed) found.push({ ...parsed, directory: `node_modules/${name}` })
    if (version !== undefined) name = null
  }
  return found
}

/** Of `"@s/a@^1.0.0", "@s/a@^1.2.0"`, `"a@npm:^1.0.0, a@npm:^1.2.0"`, `"alias@npm:real@^1.0.0"`. Null: the project's own. */
function publishedName(header: string): string | null {
  const first = header.replaceAll('"', '').split(', ')[0] ?? ''
  const parts = /^((?:@[^/@\s]+\/)?[^@\s]+)@(.*)$/.exec(first)
  if (!parts) return null
  const [, name = '', range = ''] = parts
  if (/^(?:workspace|file|link|portal):/.test(range)) return null
  return /^npm:((?:@[^/@\s]+\/)?[^@/\s]+)@/.exec(range)?.[1] ?? name
}
