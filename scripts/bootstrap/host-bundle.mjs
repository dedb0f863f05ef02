import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { quietly, Stop, tail } from './say.mjs'

/** Bundles the program that runs inside sandboxes, when its sources are newer than the bundle. */
export async function ensureHostBundle(root, node) {
  const sources = join(root, 'src', 'host')
  const built = statSync(join(root, 'dist', 'host.mjs'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  const newest = readdirSync(sources, { recursive: true }).map((name) => statSync(join(sources, name)).mtimeMs)
  if (Math.max(...newest) < built) return
  const { code, output } = await quietly('building host', node, [join(root, 'scripts', 'build-host.ts')], { cwd: root })
  if (code !== 0) throw new Stop(`cloister: building host failed with exit code ${code}:\n${tail(output)}`)
}
