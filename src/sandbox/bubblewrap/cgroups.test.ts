import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Cgroups, enter, killAll, members, removeCgroups } from './cgroups.ts'

const LIMITS = { memory_mb: 64, cpus: 0.5, pids: 20 }
const usable = new Cgroups('/probe').pathsOf('x').length > 0

// Skipped where this user may make no cgroup: limits are then rlimits, which the attack suite tries.
describe.runIf(usable)('cgroups', () => {
  let home: string
  let cgroups: Cgroups
  let sleeper: ChildProcess
  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'cgroups-'))
    cgroups = new Cgroups(home)
    sleeper = spawn('sleep', ['60'])
    await once(sleeper, 'spawn')
  })
  afterEach(async () => {
    sleeper.kill('SIGKILL')
    await removeCgroups(cgroups.pathsOf('s.1'))
    rmSync(home, { recursive: true })
  })

  test('carry the limits that they attest', () => {
    const made = cgroups.create('s.1', LIMITS)
    expect(made.paths).toEqual(cgroups.pathsOf('s.1'))
    const read = (...names: string[]) =>
      made.paths
        .flatMap((path) => names.map((name) => join(path, name)))
        .filter((path) => existsSync(path))
        .map((path) => readFileSync(path, 'utf8').trim())
    if (made.enforced.memory !== 'absent') expect(read('memory.max', 'memory.limit_in_bytes')).toContain(String(64 * 1024 * 1024))
    if (made.enforced.pids !== 'absent') expect(read('pids.max')).toContain('20')
    if (made.enforced.cpus !== 'absent')
      expect(read('cpu.max', 'cpu.cfs_quota_us').map((text) => text.split(' ')[0])).toContain('50000')
    const { memory, cpus, pids } = cgroups.enforcement()
    expect(made.enforced).toEqual({ memory: memory ?? 'absent', cpus: cpus ?? 'absent', pids: pids ?? 'absent' })
  })

  test('hold what enters, and let go of it only when it is dead', async () => {
    const made = cgroups.create('s.1', LIMITS)
    const pid = sleeper.pid as number
    enter(made.paths, pid)
    for (const path of made.paths) expect(members(path)).toEqual([pid])
    expect(() => cgroups.create('s.1', LIMITS)).toThrow()
    expect(made.paths.every((path) => existsSync(path))).toBe(true)
    const ended = once(sleeper, 'exit')
    if (made.kill === null) sleeper.kill('SIGKILL')
    else killAll(made.kill)
    expect(await ended).toEqual([null, 'SIGKILL'])
    await removeCgroups(made.paths)
    expect(made.paths.filter((path) => existsSync(path))).toEqual([])
    await removeCgroups(made.paths)
  })

  test('left empty by a crash are replaced', () => {
    cgroups.create('s.1', LIMITS)
    expect(cgroups.create('s.1', { ...LIMITS, pids: 21 }).paths).toEqual(cgroups.pathsOf('s.1'))
  })

  test('do not take a process that is gone', async () => {
    const made = cgroups.create('s.1', LIMITS)
    sleeper.kill('SIGKILL')
    await once(sleeper, 'exit')
    expect(() => enter(made.paths, sleeper.pid as number)).toThrow()
  })

  test('of two servers have different names', () => {
    expect(cgroups.pathsOf('s.1')).not.toEqual(new Cgroups(`${home}/other`).pathsOf('s.1'))
  })
})
