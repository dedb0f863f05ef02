import { closeSync, fstatSync, readdirSync, readFileSync } from 'node:fs'

const O_ACCMODE = 0o3
const O_CLOEXEC = 0o2000000

/**
 * Descriptors above 2 that a program started by this process would inherit. Node opens all of its own with close-on-exec, and
 * sets it on what it inherited up to the first gap above 15: what is found here was handed down by whoever started us.
 * Regular files open for reading are left out: Node's own threads open certificates so, for a moment.
 */
export function inheritableDescriptors(): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd > 2 && isInheritable(fd))
}

/**
 * Closes them: one such descriptor, of the machine's root directory, gave a sandbox the whole machine. `main` calls it before
 * anything else. Sandboxes do not depend on it, since each start closes whatever else is open on its way. Returns what was closed.
 */
export function closeInheritedDescriptors(): number[] {
  const found = inheritableDescriptors()
  for (const fd of found) closeSync(fd)
  return found
}

function isInheritable(fd: number): boolean {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
    const flags = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0', 8)
    if ((flags & O_CLOEXEC) !== 0) return false
    return !(fstatSync(fd).isFile() && (flags & O_ACCMODE) === 0)
  } catch (error) {
    // The descriptor that the directory was listed with is closed by now.
    if (['ENOENT', 'EBADF'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}
