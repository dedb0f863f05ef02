import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { quietly, Stop, tail } from './say.mjs'

/** Bundles the program that runs inside sandboxes. The build itself knows whether it has anything to do. */
export async function ensureHostBundle(root, node) {
  const build = join(root, 'scripts', 'build-host.ts')
  if (!existsSync(build)) throw new Stop('cloister: scripts/build-host.ts is not in this checkout')
  const { code, output } = await quietly('building host', node, [build], { cwd: root })
  if (code !== 0) throw new Stop(`cloister: building host failed with exit code ${code}:\n${tail(output)}`)
}
