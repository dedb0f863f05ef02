import { existsSync, realpathSync, statSync } from 'node:fs'
import { posix } from 'node:path'

/** Places that the sandbox has its own of, or that hold what opens the machine: sockets, devices, accounts. */
const RESERVED = ['/boot', '/dev', '/etc', '/opt/cloister', '/opt/node', '/proc', '/run', '/session', '/sys', '/usr', '/var/run']

/**
 * May the administrator bind this directory, read-only and under its own name (`CLOISTER_SANDBOX_BINDS`)? The reason if not.
 * @param own directories of ours, of which no sandbox may see any part
 */
export function refuseBind(path: string, own: string[]): string | null {
  if (!posix.isAbsolute(path) || posix.normalize(path) !== path) return `${path} is not a plain absolute path`
  if (!existsSync(path)) return `${path} does not exist`
  if (path === '/tmp') return '/tmp is private to each sandbox'
  for (const place of new Set([path, real(path)])) {
    const reserved = [...RESERVED, '/'].find((name) => (name === '/' ? place === '/' : overlaps(place, name)))
    if (reserved !== undefined) return `${path} overlaps ${reserved}`
    const mine = own.find((name) => overlaps(place, real(name)))
    if (mine !== undefined) return `${path} overlaps ${mine}, which belongs to the server`
  }
  return null
}

/** The first of our directories that a read-only system of sandboxes (`/usr`, or a root file system) would show; null if none. */
export function shownBy(system: string, own: string[]): string | null {
  const shown = real(system)
  return own.find((name) => overlaps(real(name), shown)) ?? null
}

/** What is not there yet will be made where its nearest directory leads. */
function real(path: string): string {
  if (existsSync(path)) return realpathSync(path)
  return posix.join(real(posix.dirname(path)), posix.basename(path))
}

/** What the binds add to PATH: their own `bin`, or themselves when they are called so. */
export function binsOf(binds: string[]): string[] {
  return binds.flatMap((path) => {
    if (posix.basename(path) === 'bin') return [path]
    return statSync(`${path}/bin`, { throwIfNoEntry: false })?.isDirectory() ? [`${path}/bin`] : []
  })
}

/** Is one the other, or inside it? */
function overlaps(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)
}
