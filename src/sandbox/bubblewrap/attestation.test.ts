import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, expect, test, vi } from 'vitest'
import { attest } from './attestation.ts'

const WANTED = { network: 'none', uid: 'own', limits: { memory: 'absent', cpus: 'absent', pids: 'absent' } } as const
const ALL = ['--user', '--map-root-user', '--mount', '--pid', '--net', '--ipc', '--uts', '--cgroup', '--fork', '--kill-child']
const children: ChildProcess[] = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** The first process in new namespaces that the kernel gives by itself: unshare's child. */
async function unshared(...options: string[]): Promise<number> {
  const child = spawn('unshare', [...options, 'sleep', '60'], { stdio: 'ignore' })
  children.push(child)
  await once(child, 'spawn')
  return vi.waitFor(() => {
    const [pid = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ')
    expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('sleep\n')
    return Number(pid)
  })
}

test('an ordinary process of the machine is no sandbox, whatever was asked for', () => {
  expect(() => attest(process.pid, WANTED)).toThrow(/shares namespaces with the machine: user, mnt, pid, net, ipc, uts, cgroup/)
})

test('one that kept a namespace is none, and it is named', async () => {
  const pid = await unshared(...ALL.filter((option) => option !== '--net'))
  expect(() => attest(pid, WANTED)).toThrow('shares namespaces with the machine: net')
  // With the machine's network, that is what was wanted: it fails for what is missing next.
  expect(() => attest(pid, { ...WANTED, network: 'host' })).toThrow('runs without its seccomp filter')
})

test('namespaces without the filter are none', async () => {
  expect(readdirSync('/proc/self/ns')).toEqual(expect.arrayContaining(['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup']))
  const pid = await unshared(...ALL)
  expect(() => attest(pid, WANTED)).toThrow('runs without its seccomp filter')
})
