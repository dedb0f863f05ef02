import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import { bootId, isAlive, namespaceOf, sendKill, startTime } from './process-identity.ts'

const identityOf = (pid: number) => ({
  pid,
  start_time: startTime(pid) as string,
  pid_namespace: namespaceOf(pid, 'pid'),
  boot_id: bootId(),
})

describe('the identity of a process', () => {
  test('is its own while it lives, and of no other that has its number', () => {
    const self = identityOf(process.pid)
    expect(isAlive(self)).toBe(true)
    expect(isAlive({ ...self, start_time: `${Number(self.start_time) - 1}` })).toBe(false)
    expect(isAlive({ ...self, pid_namespace: '1' })).toBe(false)
    expect(isAlive({ ...self, boot_id: 'another boot' })).toBe(false)
  })

  test('is gone with it, also while its parent has not taken note', async () => {
    // A shell that becomes sleep never waits for what it started: that stays a zombie.
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line)
    const identity = identityOf(pid)
    expect(isAlive(identity)).toBe(true)
    sendKill(pid)
    await vi.waitFor(() => expect(startTime(pid)).toBeNull())
    expect(isAlive(identity)).toBe(false)
    const ended = once(parent, 'exit')
    sendKill(parent.pid as number)
    await ended
    expect(isAlive({ ...identity, pid: parent.pid as number })).toBe(false)
    sendKill(parent.pid as number)
  })
})
