import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { takeServerLock } from './server-lock.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'cloister-lock-'))
})
afterEach(() => rmSync(home, { recursive: true }))

const HOLDER = `
  const { takeServerLock } = await import(process.argv[1])
  console.log('epoch', takeServerLock(process.argv[2]).epoch)
  setInterval(() => {}, 1000)
`

it('refuses a second server, and outlives a killed one with a higher epoch', async () => {
  const holder = spawn(
    process.execPath,
    ['--input-type=module', '-e', HOLDER, new URL('./server-lock.ts', import.meta.url).href, home],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const [line] = (await once(holder.stdout, 'data')) as [Buffer]
  expect(line.toString().trim()).toBe('epoch 1')
  expect(() => takeServerLock(home)).toThrow(/another Cloister server uses/)
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  const lock = takeServerLock(home)
  expect(lock.epoch).toBe(2)
  lock.release()
})
