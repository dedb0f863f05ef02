import { dependency } from './dependency-record.ts'
import type { NpmPackage } from './npm-lock.ts'

const LONGEST_LINE = 4000
const KEY = /^ {2}(?:'([^']+)'|"([^"\\]+)"|([^\s'"#][^\s]*)): *(?:\{\})?\s*$/

/**
 * The packages of a pnpm-lock.yaml, of all its versions. pnpm writes it, one key a line; of YAML only that is read. Packages that lie
 * in the repository are the project's own. Null: it is none. Pure.
 */
export function parsePnpmLock(text: string, most: number): NpmPackage[] | null {
  const found: NpmPackage[] = []
  let section = ''
  let known = false
  for (const line of text.split(/\r?\n/)) {
    if (found.length >= most) break
    if (line.length > LONGEST_LINE) continue
    const top = /^([A-Za-z]+):/.exec(line)?.[1]
    if (top !== undefined) section = top
    if (top === 'lockfileVersion') known = true
    const key = section === 'packages' ? KEY.exec(line) : null
    const parsed = key && fromKey(key[1] ?? key[2] ?? key[3] ?? '')
    if (parsed) found.push(parsed)
  }
  return known ? found : null
}

/** `name@1.0.0`, `/name@1.0.0(peer@2.0.0)`, and before pnpm 8 `/name/1.0.0_peer@2.0.0`. */
function fromKey(key: string): NpmPackage | null {
  const plain = key.replace(/^\//, '').replace(/\(.*$/, '')
  const parts = /^((?:@[^/@]+\/)?[^/@]+)(?:@(.+)|\/([^/_]+)(?:_.*)?)$/.exec(plain)
  if (!parts) return null
  const [, name = '', given = parts[3] ?? ''] = parts
  if (/^(?:file|link|workspace):/.test(given)) return null
  const version = /^\d/.test(given) ? given : null
  const parsed = dependency('npm', name, version)
  if (!parsed) return null
  const place = `${name.replace('/', '+')}@${version}`
  return { ...parsed, directory: version === null ? null : `node_modules/.pnpm/${place}/node_modules/${name}` }
}
