import { closeSync, readdirSync, readFileSync } from 'node:fs'

const O_CLOEXEC = 0o2000000

/**
 * Descriptors above 2 that a program started by this process would inherit. Node opens all of its own with close-on-exec, and
 * sets it on what it inherited up to the first gap above 15: what is found here was handed down by whoever started us.
 */
export function inheritableDescriptors(): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd > 2 && isInheritable(fd))
}

/**
 * Closes them: one such descriptor, of the machine's root directory, gave a sandbox the whole machine. `main` calls it before
 * anything else, and every start of a sandbox does again. Returns what was closed.
 */
export function closeInheritedDescriptors(): number[] {
  const found = inheritableDescriptors()
  for (const fd of found) closeSync(fd)
  return found
}

function isInheritable(fd: number): boolean {
  let info: string
  try {
    info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
  } catch (error) {
    // The descriptor that the directory was listed with is closed by now.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  const flags = /^flags:\s*([0-7]+)/m.exec(info)?.[1]
  return flags === undefined || (Number.parseInt(flags, 8) & O_CLOEXEC) === 0
}
