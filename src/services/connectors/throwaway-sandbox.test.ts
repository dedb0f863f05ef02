import { afterAll, beforeAll, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { ThrowawaySandboxes } from './throwaway-sandbox.ts'

const LIMITS = { memory_mb: 512, cpus: 1, pids: 64 }
let workspace: ToolWorkspace
let throwaways: ThrowawaySandboxes
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
  const uid = workspace.driver.kind === 'bubblewrap' && process.getuid?.() === 0 ? 64_211 : null
  throwaways = new ThrowawaySandboxes({ driver: workspace.driver, uid, limits: LIMITS, epoch: 1 })
})
afterAll(() => workspace?.stop())

const use = (urgent: boolean, timeout_ms = 20_000) => ({ network: 'none' as const, timeout_ms, urgent })

it('has one at a time; who is urgent waits for none but the one that runs, and for each other', async () => {
  const order: string[] = []
  let running = 0
  const look = (name: string, urgent: boolean) =>
    throwaways.run(use(urgent), async (sandbox) => {
      order.push(name)
      expect(++running).toBe(1)
      const { stdout } = await sandbox.run(['sh', '-c', 'ls /session/data 2>/dev/null; echo here'])
      running--
      return stdout
    })
  const all = [look('a', false), look('b', false), look('c', false), look('urgent', true), look('as urgent', true)]
  expect(await Promise.all(all)).toEqual(all.map(() => 'here\n'))
  expect(order).toEqual(['a', 'urgent', 'as urgent', 'b', 'c'])
})

it('goes on after one that failed or took too long', async () => {
  const failing = throwaways.run(use(false), () => Promise.reject(new Error('not this one')))
  const late = throwaways.run(use(false, 300), () => new Promise<never>(() => undefined))
  const next = throwaways.run(use(false), async (_, name) => name)
  await expect(failing).rejects.toThrow('not this one')
  await expect(late).rejects.toMatchObject({ code: 'timeout' })
  expect(await next).toMatch(/^crv_/)
})
