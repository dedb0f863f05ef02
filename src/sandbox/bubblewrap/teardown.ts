import { setTimeout as sleep } from 'node:timers/promises'
import type { SandboxRecord } from '../../domain/session.ts'
import { removeRun } from '../host-launch.ts'
import { killAll, members, removeCgroups } from './cgroups.ts'
import { bootId, isAlive, type ProcessIdentity, sendKill, startTime } from './process-identity.ts'

type Detail = SandboxRecord['detail']

const GONE_WITHIN_MS = 15_000

/**
 * Kills every process of a sandbox and removes its cgroups and its run directory. `cgroup.kill` where there is one; the first
 * process of the PID namespace, with which the kernel kills the rest, after making sure that it is the one of the record; and what
 * else is in the cgroups, which hold nothing but the sandbox. Idempotent. Throws when something still lives after 15 s.
 */
export async function teardown(detail: Detail): Promise<void> {
  const cgroups = cgroupsOf(detail)
  const deadline = Date.now() + GONE_WITHIN_MS
  for (;;) {
    const left = survivors(detail, cgroups)
    if (left.length === 0) break
    if (Date.now() > deadline) throw new Error(`processes of a sandbox do not end: ${left.join(', ')}`)
    if (typeof detail.cgroup_kill === 'string') killAll(detail.cgroup_kill)
    for (const pid of left) sendKill(pid)
    await sleep(2)
  }
  await removeCgroups(cgroups)
  if (typeof detail.run_dir === 'string') await removeRun(detail.run_dir)
}

/** The first process as the record has it; null when the record was written before there was one. */
export function initOf(detail: Detail): ProcessIdentity | null {
  const { init_pid, init_start, pid_namespace, boot_id } = detail
  if (typeof init_pid !== 'number' || init_start === null || pid_namespace === null || boot_id === null) return null
  return { pid: init_pid, start_time: String(init_start), pid_namespace: String(pid_namespace), boot_id: String(boot_id) }
}

/** One string in the record, because a record's values are plain. */
function cgroupsOf(detail: Detail): string[] {
  return typeof detail.cgroups === 'string' ? detail.cgroups.split('\n').filter(Boolean) : []
}

function survivors(detail: Detail, cgroups: string[]): number[] {
  const init = initOf(detail)
  const pids = new Set(cgroups.flatMap(members))
  if (init !== null && isAlive(init)) pids.add(init.pid)
  const { outer_pid, outer_start } = detail
  if (init !== null && typeof outer_pid === 'number' && isOuter(outer_pid, String(outer_start), init.boot_id)) pids.add(outer_pid)
  return [...pids]
}

/** bwrap itself lies in the server's namespaces: its number and time of start tell it, on this boot. */
function isOuter(pid: number, start: string, boot: string): boolean {
  return startTime(pid) === start && boot === bootId()
}
