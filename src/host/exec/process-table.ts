import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { INVOCATION_ENV } from '../wire.ts'

interface ProcessEntry {
  pid: number
  state: string
  parent: number
  group: number
  session: number
}

/** Looks for members that were forked between a look and the signal, at most so often. */
const MAX_ROUNDS = 100

/** What belongs together: processes of the group or session of a leader, those with a tag in their environment, and all their descendants. */
export interface Family {
  leader: number | null
  tag: string | null
}

/**
 * Signals a family. A process that left its group and session is found by its environment, or by its parents as long as they
 * live. One that also wiped its environment after its parents were gone is not: the sandbox itself is the boundary for that.
 * @returns how many processes were signalled
 */
export function signalFamily(family: Family, signal: NodeJS.Signals): number {
  if (signal !== 'SIGKILL') {
    const members = findFamily(family)
    for (const pid of members) trySignal(pid, signal)
    return members.length
  }
  // Stopped first, until no new one is found: a process that is still running could fork one out of sight before it dies.
  const stopped = new Set<number>()
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (family.leader !== null) trySignal(-family.leader, 'SIGSTOP')
    const found = findFamily(family).filter((pid) => !stopped.has(pid))
    for (const pid of found) {
      stopped.add(pid)
      trySignal(pid, 'SIGSTOP')
    }
    if (found.length === 0) break
  }
  if (family.leader !== null) trySignal(-family.leader, 'SIGKILL')
  for (const pid of stopped) trySignal(pid, 'SIGKILL')
  return stopped.size
}

/** Living members; never host itself, never process 1. */
export function findFamily(family: Family): number[] {
  const table = readTable()
  const members = new Set<number>()
  for (const entry of table) {
    if (entry.group === family.leader || entry.session === family.leader) members.add(entry.pid)
    else if (family.tag !== null && hasTag(entry.pid, family.tag)) members.add(entry.pid)
  }
  for (let grown = true; grown; ) {
    grown = false
    for (const entry of table) {
      if (members.has(entry.parent) && !members.has(entry.pid)) {
        members.add(entry.pid)
        grown = true
      }
    }
  }
  return [...members]
}

export function trySignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    // Gone meanwhile (ESRCH), or never ours (EPERM): in both cases there is nothing to signal.
    return false
  }
}

/** Processes of host's own user that are not zombies. */
function readTable(): ProcessEntry[] {
  const uid = process.getuid?.()
  const entries: ProcessEntry[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid <= 1 || pid === process.pid) continue
    const entry = readEntry(pid, uid)
    if (entry) entries.push(entry)
  }
  return entries
}

function readEntry(pid: number, uid: number | undefined): ProcessEntry | null {
  try {
    // A process that is not dumpable belongs to root here; its group and parents still tell.
    const owner = statSync(`/proc/${pid}`).uid
    if (owner !== uid && owner !== 0) return null
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The program's name may hold anything, also parentheses: fields begin after the last one.
    const [state = '', parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' || state === 'X'
      ? null
      : { pid, state, parent: Number(parent), group: Number(group), session: Number(session) }
  } catch {
    // It ended while we looked.
    return null
  }
}

function hasTag(pid: number, tag: string): boolean {
  let environment: Buffer
  try {
    environment = readFileSync(`/proc/${pid}/environ`)
  } catch {
    // Ended, or not readable for us.
    return false
  }
  const wanted = Buffer.from(`${INVOCATION_ENV}=${tag}\0`)
  const at = environment.indexOf(wanted)
  return at === 0 || (at > 0 && environment.includes(Buffer.concat([Buffer.from([0]), wanted])))
}

/** When memory runs out the kernel shall take a command and what it started, not host. */
export function preferForOom(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '500')
  } catch {
    // It ended already, or the sandbox's /proc cannot be written: then the kernel goes by size.
  }
}
