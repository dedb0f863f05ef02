/**
 * From a fresh clone to a running task: `node scripts/bootstrap.mjs <task> [arguments]`.
 *
 * Runs on any Node from 20, without dependencies, because it is what installs them. Each step looks before it acts, so a second
 * run costs a few milliseconds. Its exit code is the task's; 2 means that something only a person can do is missing.
 */
import { ensureHostBundle } from './bootstrap/host-bundle.mjs'
import { ensureNpmPackages } from './bootstrap/npm-packages.mjs'
import { Stop } from './bootstrap/say.mjs'
import { ensureSystemPackages } from './bootstrap/system-packages.mjs'
import { runTask, TASKS } from './bootstrap/tasks.mjs'

const [name = '', ...args] = process.argv.slice(2)

try {
  const task = TASKS[name]
  if (!task) throw new Stop(`usage: node scripts/bootstrap.mjs ${Object.keys(TASKS).join('|')} [arguments]`)
  const root = new URL('..', import.meta.url).pathname
  const node = await ensureNpmPackages(root)
  await ensureSystemPackages(task.system)
  if (task.host) await ensureHostBundle(root, node)
  await runTask(root, node, task, args)
} catch (error) {
  if (!(error instanceof Stop)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
