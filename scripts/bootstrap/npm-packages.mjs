import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { quietly, Stop, say, tail } from './say.mjs'

const WANTED_MAJOR = 24

/**
 * Installs what the lockfile names unless it is there already, and finds a Node that is new enough.
 * @returns {Promise<string>} the program to run everything else with
 */
export async function ensureNpmPackages(root) {
  const missing = firstDifference(root)
  if (missing) {
    say(`installing the npm packages of package-lock.json (${missing})`)
    const started = Date.now()
    const { code, output } = await npmCi(root)
    const rest = code === 0 ? firstDifference(root) : undefined
    if (code !== 0 || rest)
      throw new Stop(
        `cloister: npm ci failed (${rest ?? `exit code ${code}`}):\n${tail(output)}\nMend that, then run:\n\n    npm ci\n`,
      )
    say(`installed in ${Math.round((Date.now() - started) / 1000)} s`)
  }
  linkCommand(root)
  return newEnoughNode(root)
}

/** npm links the commands of packages, not of the checkout itself; without the link `npx cloister` takes seconds to find it. */
function linkCommand(root) {
  const link = join(root, 'node_modules', '.bin', 'cloister')
  if (!existsSync(link)) symlinkSync(join('..', '..', 'bin', 'cloister.mjs'), link)
}

/**
 * What npm itself wrote about the last install (`node_modules/.package-lock.json`, its last act) against the lockfile.
 * @returns {string | undefined} the first thing that differs; undefined when all is there
 */
function firstDifference(root) {
  const record = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(record)) return 'none are there'
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const found = installed[path]
    // Optional ones are for other platforms as well; npm leaves those out.
    if (!found && entry.optional) continue
    if (!found || found.version !== entry.version || !existsSync(join(root, path)))
      return `${path.slice('node_modules/'.length)} ${entry.version}`
  }
  return undefined
}

function npmCi(root) {
  const args = ['ci', '--no-audit', '--no-fund', '--include=dev', '--include=optional']
  const options = { cwd: root, env: environmentOfAPerson() }
  const npm = process.env.npm_execpath
  // Under `npm run` the npm that runs us is at hand, also where none is on PATH.
  if (npm?.endsWith('.js')) return quietly('npm ci', process.execPath, [npm, ...args], options)
  return quietly('npm ci', 'npm', args, options)
}

/** `npm run` describes itself to its children; a nested npm would take its options (`--silent`, `--global`) for its own. */
function environmentOfAPerson() {
  const kept = /^npm_config_(registry|userconfig|globalconfig|cache|cafile|ca|proxy|https_proxy|noproxy|strict_ssl)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name) || kept.test(name)))
}

/** The npm package `node` serves machines with an older one; where the machine's own is new enough, either will do. */
function newEnoughNode(root) {
  const local = join(root, 'node_modules', '.bin', 'node')
  const own = process.execPath
  if (major(process.version) >= WANTED_MAJOR) return own
  if (existsSync(local)) {
    const { stdout } = spawnSync(local, ['--version'], { encoding: 'utf8' })
    if (stdout && major(stdout) >= WANTED_MAJOR) return local
  }
  throw new Stop(
    `cloister: needs Node ${WANTED_MAJOR}, this is ${process.version}, and the npm package "node" did not install one ` +
      '(npm may be set to ignore-scripts). Run:\n\n    npm ci --ignore-scripts=false\n',
  )
}

function major(version) {
  return Number(/^v(\d+)\./.exec(version.trim())?.[1] ?? 0)
}
