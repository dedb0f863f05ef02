import { readdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildHost } from '../scripts/build-host.ts'

const SOURCES = fileURLToPath(new URL('../src/host', import.meta.url))
const BUNDLE = fileURLToPath(new URL('../dist/host.mjs', import.meta.url))

/** Builds what tests run: the host bundle, when its sources are newer. Renamed into place, as runs may go on side by side. */
export default async function setup(): Promise<void> {
  const built = statSync(BUNDLE, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const newest = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).map((name) => statSync(join(SOURCES, name)).mtimeMs)
  if (Math.max(...newest) < built) return
  const fresh = `${BUNDLE}.${process.pid}.mjs`
  await buildHost(fresh)
  renameSync(fresh, BUNDLE)
}
