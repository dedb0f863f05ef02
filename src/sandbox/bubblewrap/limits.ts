import { execFile } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { release } from 'node:os'
import { promisify } from 'node:util'
import type { Isolation, LimitEnforcement, Limits } from '../../domain/session.ts'

const run = promisify(execFile)
const MIB = 1024 * 1024
/** A Node that does nothing has 600 MiB of writable address space (24.21, x64) that it never touches; `data` counts it. */
const RESERVED_MB = 768

/**
 * What cgroups do not limit is limited by rlimits, set on the blocked first process and inherited by all that comes after:
 * `nproc` for pids, `data` for the memory of each process (with room for what runtimes reserve and do not use). There is none for CPU time as a share. Answers what is in force.
 */
export async function limitByRlimits(pid: number, limits: Limits, byCgroup: Isolation['limits']): Promise<Isolation['limits']> {
  const wanted = [
    ...(byCgroup.pids === 'absent' ? [`--nproc=${limits.pids + othersCounted()}`] : []),
    ...(byCgroup.memory === 'absent' ? [`--data=${(limits.memory_mb + RESERVED_MB) * MIB}`] : []),
  ]
  if (wanted.length > 0) await run('prlimit', ['--pid', `${pid}`, ...wanted])
  const or = (enforcement: LimitEnforcement): LimitEnforcement => (enforcement === 'absent' ? 'rlimit' : enforcement)
  return { memory: or(byCgroup.memory), pids: or(byCgroup.pids), cpus: byCgroup.cpus }
}

/**
 * Since Linux 5.14 processes are counted for each user namespace, so a sandbox's count begins at nought. Before, all processes
 * of the machine's user count, and those that are there now are added.
 */
function othersCounted(): number {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  if (major > 5 || (major === 5 && minor >= 14)) return 0
  const own = process.getuid?.()
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && statSync(`/proc/${name}`, { throwIfNoEntry: false })?.uid === own)
    .reduce((sum, name) => sum + threadsOf(name), 0)
}

function threadsOf(pid: string): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0
    throw error
  }
}

/**
 * Bytes of the private `/tmp` and `/dev/shm`, and of host's heap. The first two count as the sandbox's memory, so that filling
 * them must not by itself use it up.
 */
export function sizes(limits: Limits): { tmpBytes: number; shmBytes: number; heapMb: number } {
  const share = (part: number, min: number, max: number) => Math.min(max, Math.max(min, Math.floor(limits.memory_mb * part)))
  return { tmpBytes: share(0.5, 16, 1024) * MIB, shmBytes: share(0.125, 8, 256) * MIB, heapMb: share(0.25, 64, 512) }
}
