import { chmodSync, existsSync, readdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildConnectorBridge, buildHost } from '../scripts/build-host.ts'

const BUNDLES = [
  { file: 'host.mjs', folders: ['host'], build: buildHost },
  { file: 'connector-bridge.mjs', folders: ['connectors', 'domain'], build: buildConnectorBridge },
]

/** Where vitest collects what each file covered, once it has emptied it. */
const COVERAGE = fileURLToPath(new URL('../coverage/.tmp', import.meta.url))

/** Builds what tests run: bundles whose sources are newer. Renamed into place, as runs may go on side by side. */
export default async function setup(): Promise<void> {
  // Suites that give up their privileges write there too.
  if (existsSync(COVERAGE)) chmodSync(COVERAGE, 0o1777)
  for (const { file, folders, build } of BUNDLES) {
    const bundle = fileURLToPath(new URL(`../dist/${file}`, import.meta.url))
    const built = statSync(bundle, { throwIfNoEntry: false })?.mtimeMs ?? 0
    const newest = folders.flatMap((folder) => {
      const sources = fileURLToPath(new URL(`../src/${folder}`, import.meta.url))
      return readdirSync(sources, { recursive: true, encoding: 'utf8' }).map((name) => statSync(join(sources, name)).mtimeMs)
    })
    if (Math.max(...newest) < built) continue
    const fresh = `${bundle}.${process.pid}.mjs`
    await build(fresh)
    renameSync(fresh, bundle)
  }
}
