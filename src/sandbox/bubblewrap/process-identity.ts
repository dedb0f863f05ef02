import { readFileSync, readlinkSync } from 'node:fs'

/** What tells one process from every other that had or will have its number. */
export interface ProcessIdentity {
  pid: number
  /** Clock ticks since boot. */
  start_time: string
  /** Inode of its PID namespace. */
  pid_namespace: string
  boot_id: string
}

export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/** Is that very process still there? */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.boot_id !== bootId()) return false
  return startTime(identity.pid) === identity.start_time && pidNamespace(identity.pid) === identity.pid_namespace
}

/** Null when there is none or it is a zombie. `comm` may hold anything, so fields are counted from its last parenthesis. */
export function startTime(pid: number): string | null {
  const text = readOrNull(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  if (text === null) return null
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null)
}

function pidNamespace(pid: number): string | null {
  return readOrNull(() => namespaceOf(pid, 'pid'))
}

/** The inode of a process's namespace. Throws when it cannot be read. */
export function namespaceOf(pid: number | 'self', name: string): string {
  const link = readlinkSync(`/proc/${pid}/ns/${name}`)
  return /\[(\d+)\]/.exec(link)?.[1] ?? link
}

/** A process may end between any two looks at it. */
function readOrNull<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) return null
    throw error
  }
}

/** SIGKILL to a process, or with a negative number to a group. One that is gone already is fine. */
export function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
