import { readdir, readFile } from 'node:fs/promises'

/** Changes with every boot of the machine, so that a pid of before is not taken for one of now. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/** When a process started, in clock ticks since boot; null when there is none (or only a zombie) of that pid. */
export async function startTime(pid: number): Promise<number | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null)
  if (stat === null) return null
  // The program's name may hold anything: fields begin after the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? null : Number(fields[19])
}

/** Living processes that have exactly this variable in the environment they were started with, as far as it is readable. */
export async function findByEnvironment(name: string, value: string): Promise<{ pid: number; variables: string[] }[]> {
  const wanted = `${name}=${value}`
  const found: { pid: number; variables: string[] }[] = []
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const variables = (await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')).split('\0')
    if (variables.includes(wanted) && (await startTime(pid)) !== null) found.push({ pid, variables })
  }
  return found
}
