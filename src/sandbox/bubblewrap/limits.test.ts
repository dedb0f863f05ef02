import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { limitByRlimits, sizes } from './limits.ts'

const LIMITS = { memory_mb: 256, cpus: 1, pids: 64 }
const MIB = 1024 * 1024

/** The hard limits of a process, as the kernel has them. */
function inForce(pid: number | 'self') {
  const text = readFileSync(`/proc/${pid}/limits`, 'utf8')
  const hard = (name: string) => new RegExp(`^${name} +\\S+ +(\\S+)`, 'm').exec(text)?.[1]
  return { processes: hard('Max processes'), data: hard('Max data size') }
}

describe('limits by rlimit', () => {
  /** What is then in force on a real process. */
  async function limit(byCgroup: Parameters<typeof limitByRlimits>[2]) {
    const sleeper = spawn('sleep', ['60'])
    await once(sleeper, 'spawn')
    try {
      const enforced = await limitByRlimits(sleeper.pid as number, LIMITS, byCgroup)
      return { enforced, ...inForce(sleeper.pid as number) }
    } finally {
      sleeper.kill('SIGKILL')
    }
  }

  test('stand in for what no cgroup limits, and are said to; a share of CPU time has none', async () => {
    const { enforced, processes, data } = await limit({ memory: 'absent', cpus: 'absent', pids: 'absent' })
    expect(enforced).toEqual({ memory: 'rlimit', cpus: 'absent', pids: 'rlimit' })
    expect(Number(processes)).toBeGreaterThanOrEqual(64)
    expect(Number(data)).toBe((256 + 768) * MIB)
  })

  test('leave alone what a cgroup limits', async () => {
    const untouched = await limit({ memory: 'cgroup2', cpus: 'cgroup1', pids: 'cgroup2' })
    expect(untouched.enforced).toEqual({ memory: 'cgroup2', cpus: 'cgroup1', pids: 'cgroup2' })
    const { data } = inForce('self')
    expect(untouched.data).toBe(data)
  })
})

test.each([
  [
    { ...LIMITS, memory_mb: 16 },
    { tmpBytes: 16 * MIB, shmBytes: 8 * MIB, heapMb: 64 },
  ],
  [
    { ...LIMITS, memory_mb: 1024 },
    { tmpBytes: 512 * MIB, shmBytes: 128 * MIB, heapMb: 256 },
  ],
  [
    { ...LIMITS, memory_mb: 65_536 },
    { tmpBytes: 1024 * MIB, shmBytes: 256 * MIB, heapMb: 512 },
  ],
])('%o: private directories and the heap of host are shares of it, within bounds', (limits, expected) => {
  expect(sizes(limits)).toEqual(expected)
})
