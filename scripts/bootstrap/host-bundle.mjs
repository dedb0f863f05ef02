import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { quietly, Stop, tail } from './say.mjs'

/** Bundles the programs that run inside sandboxes, when their sources are newer than the bundles. */
export async function ensureHostBundle(root, node) {
  const built = ['host.mjs', 'connector-bridge.mjs'].map(
    (name) => statSync(join(root, 'dist', name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  )
  const newest = ['host', 'connectors', 'domain'].flatMap((folder) => {
    const sources = join(root, 'src', folder)
    return readdirSync(sources, { recursive: true }).map((name) => statSync(join(sources, name)).mtimeMs)
  })
  if (Math.max(...newest) < Math.min(...built)) return
  const { code, output } = await quietly('building host', node, [join(root, 'scripts', 'build-host.ts')], { cwd: root })
  if (code !== 0) throw new Stop(`cloister: building host failed with exit code ${code}:\n${tail(output)}`)
}
