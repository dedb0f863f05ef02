import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Isolation, Limits } from '../../domain/session.ts'

type Enforcement = Isolation['limits']

/** A hierarchy of this machine, and the cgroup in it under which ours are made. */
interface Hierarchy {
  version: 1 | 2
  controllers: string[]
  parent: string
}

/** A sandbox's cgroups: one directory for each hierarchy. */
export interface SandboxCgroups {
  paths: string[]
  /** The one that has `cgroup.kill`; null where the machine has none. */
  kill: string | null
  enforced: Enforcement
}

const WANTED = ['memory', 'pids', 'cpu'] as const
const MIB = 1024 * 1024
const PERIOD_US = 100_000

/**
 * Limits for whole sandboxes, by what the machine has: a v2 hierarchy with controllers, or v1 controllers, with an empty v2
 * hierarchy used for killing. What this user may not write does not count.
 */
export class Cgroups {
  readonly #hierarchies: Hierarchy[]
  readonly #prefix: string

  /** @param home names our cgroups, so that two servers on a machine keep out of each other's way */
  constructor(home: string) {
    this.#prefix = `cloister-${createHash('sha256').update(home).digest('hex').slice(0, 12)}`
    this.#hierarchies = usableHierarchies(this.#prefix)
  }

  /** How each limit would be enforced; null: by no cgroup. */
  enforcement(): Record<'memory' | 'cpus' | 'pids', 'cgroup1' | 'cgroup2' | null> {
    const by = (controller: string) => {
      const found = this.#hierarchies.find(({ controllers }) => controllers.includes(controller))
      return found === undefined ? null : found.version === 2 ? ('cgroup2' as const) : ('cgroup1' as const)
    }
    return { memory: by('memory'), cpus: by('cpu'), pids: by('pids') }
  }

  get canKill(): boolean {
    return this.#hierarchies.some(({ version }) => version === 2)
  }

  /** Where the cgroups of a sandbox lie, or would. */
  pathsOf(name: string): string[] {
    return this.#hierarchies.map(({ parent }) => join(parent, `${this.#prefix}-${name}`))
  }

  /**
   * Makes a sandbox's cgroups with its limits in force. What exists under the name is left from a crash: it must be empty, and
   * is replaced. A limit that could not be set is not attested.
   */
  create(name: string, limits: Limits): SandboxCgroups {
    const made: string[] = []
    let kill: string | null = null
    const enforced: Enforcement = { memory: 'absent', cpus: 'absent', pids: 'absent' }
    try {
      for (const hierarchy of this.#hierarchies) {
        const path = join(hierarchy.parent, `${this.#prefix}-${name}`)
        if (existsSync(path)) rmdirSync(path)
        mkdirSync(path)
        made.push(path)
        if (hierarchy.version === 2 && existsSync(join(path, 'cgroup.kill'))) kill = path
        const by = hierarchy.version === 2 ? 'cgroup2' : 'cgroup1'
        for (const controller of hierarchy.controllers) {
          if (controller === 'memory') enforced.memory = limitMemory(path, hierarchy.version, limits) ? by : 'absent'
          if (controller === 'pids') enforced.pids = write(path, 'pids.max', limits.pids) ? by : 'absent'
          if (controller === 'cpu') enforced.cpus = limitCpu(path, hierarchy.version, limits) ? by : 'absent'
        }
      }
    } catch (error) {
      for (const path of made) rmdirSync(path)
      throw error
    }
    return { paths: made, kill, enforced }
  }
}

/** Puts a process, and whatever it starts from now on, into cgroups. Throws unless it is in all of them afterwards. */
export function enter(paths: string[], pid: number): void {
  for (const path of paths) writeFileSync(join(path, 'cgroup.procs'), `${pid}`)
  for (const path of paths) if (!members(path).includes(pid)) throw new Error(`process ${pid} did not enter ${path}`)
}

/** Processes in a cgroup; none when it is gone. */
export function members(path: string): number[] {
  const file = join(path, 'cgroup.procs')
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) : []
}

/** Kills everything in a v2 cgroup at once, also what is forking meanwhile. */
export function killAll(path: string): void {
  if (existsSync(path)) writeFileSync(join(path, 'cgroup.kill'), '1')
}

/**
 * Removes cgroups, with retries, because the kernel lets go of dead members a little later. Throws when something still lives
 * in one after five seconds.
 */
export async function removeCgroups(paths: string[]): Promise<void> {
  for (const path of paths) {
    for (let attempt = 0; existsSync(path); attempt++) {
      try {
        rmdirSync(path)
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (code === 'ENOENT') break
        if (code !== 'EBUSY' || attempt >= 500) throw error
        await sleep(10)
      }
    }
  }
}

function limitMemory(path: string, version: 1 | 2, limits: Limits): boolean {
  const bytes = limits.memory_mb * MIB
  if (version === 2) {
    // Swap would make the limit a larger one. Absent where the kernel accounts for none.
    return write(path, 'memory.max', bytes) && writeIfThere(path, 'memory.swap.max', 0)
  }
  return write(path, 'memory.limit_in_bytes', bytes) && writeIfThere(path, 'memory.memsw.limit_in_bytes', bytes)
}

function limitCpu(path: string, version: 1 | 2, limits: Limits): boolean {
  const quota = Math.max(1000, Math.round(limits.cpus * PERIOD_US))
  if (version === 2) return write(path, 'cpu.max', `${quota} ${PERIOD_US}`)
  return write(path, 'cpu.cfs_period_us', PERIOD_US) && write(path, 'cpu.cfs_quota_us', quota)
}

/** False where the kernel does not take the value: the limit is then attested as absent. */
function write(directory: string, file: string, value: string | number): boolean {
  try {
    writeFileSync(join(directory, file), `${value}`, { flag: 'r+' })
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'EINVAL', 'EBUSY', 'ENOTSUP', 'EOPNOTSUPP'].includes(code)) return false
    throw error
  }
}

function writeIfThere(directory: string, file: string, value: number): boolean {
  return !existsSync(join(directory, file)) || write(directory, file, value)
}

/** v2 first, so that a controller is taken from there where both exist. */
function usableHierarchies(prefix: string): Hierarchy[] {
  const mine = ownCgroups()
  const found: Hierarchy[] = []
  for (const { version, controllers, root } of mountedHierarchies()) {
    const start = mine.find((line) =>
      version === 2 ? line.controllers.length === 0 : line.controllers.some((c) => controllers.includes(c)),
    )
    if (start === undefined) continue
    const own = existsSync(join(root, start.path)) ? join(root, start.path) : root
    const hierarchy = version === 2 ? v2(root, own, prefix) : v1(own, controllers, prefix)
    if (hierarchy !== null) found.push(hierarchy)
  }
  const taken = new Set<string>()
  return found
    .sort((a, b) => b.version - a.version)
    .map((hierarchy) => {
      const controllers = hierarchy.controllers.filter((name) => !taken.has(name))
      for (const name of controllers) taken.add(name)
      return { ...hierarchy, controllers }
    })
    .filter(({ version, controllers }) => version === 2 || controllers.length > 0)
}

/** Ours lie under the server's own cgroup, so that what limits the server also limits what it starts. */
function v1(own: string, controllers: string[], prefix: string): Hierarchy | null {
  return canMakeChild(own, prefix) ? { version: 1, controllers, parent: own } : null
}

/**
 * The nearest cgroup at or above the server's own whose children have the wanted controllers. The server's own usually cannot
 * give them, because it has processes; the one above, made by systemd for a user or a slice, can. Without controllers anywhere
 * a cgroup still serves for killing.
 */
function v2(root: string, own: string, prefix: string): Hierarchy | null {
  let best: Hierarchy | null = null
  for (let path = own; path.startsWith(root); path = dirname(path)) {
    if (existsSync(path) && canMakeChild(path, prefix)) {
      const controllers = childControllers(path)
      if (best === null || controllers.length > best.controllers.length) best = { version: 2, controllers, parent: path }
      if (controllers.length === WANTED.length) break
    }
    if (path === root) break
  }
  return best
}

function childControllers(path: string): string[] {
  const read = (file: string) => readFileSync(join(path, file), 'utf8').split(/\s+/).filter(Boolean)
  const available = read('cgroup.controllers')
  for (const name of WANTED)
    if (available.includes(name) && !read('cgroup.subtree_control').includes(name))
      write(path, 'cgroup.subtree_control', `+${name}`)
  const given = read('cgroup.subtree_control')
  return WANTED.filter((name) => given.includes(name))
}

/** May this user make a cgroup there and move one of its processes into it? Tried with a directory, removed again. */
function canMakeChild(parent: string, prefix: string): boolean {
  try {
    rmdirSync(mkdtempSync(join(parent, `${prefix}-probe-`)))
    // Moving also needs write access to the common ancestor of where a process is and where it goes.
    accessSync(join(parent, 'cgroup.procs'), constants.W_OK)
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EEXIST', 'EAGAIN', 'ENOSPC'].includes(code)) return false
    throw error
  }
}

/** Lines `id:controllers:path` of this process; v2's has no controllers. */
function ownCgroups(): { controllers: string[]; path: string }[] {
  if (!existsSync('/proc/self/cgroup')) return []
  return readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, controllers = '', ...path] = line.split(':')
      return { controllers: controllers.split(',').filter(Boolean), path: path.join(':') }
    })
}

interface Mounted {
  version: 1 | 2
  controllers: string[]
  root: string
}

/** Cgroup file systems that are mounted, with those of the wanted controllers that each carries. */
function mountedHierarchies(): Mounted[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .flatMap(([, root, type, options]): Mounted[] => {
      if (root === undefined || options === undefined) return []
      if (type === 'cgroup2') return [{ version: 2, controllers: [], root }]
      const controllers = WANTED.filter((name) => options.split(',').includes(name))
      return type === 'cgroup' && controllers.length > 0 ? [{ version: 1, controllers, root }] : []
    })
}
