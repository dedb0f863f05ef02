import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Isolation } from '../../domain/session.ts'
import type { Check } from '../sandbox-driver.ts'
import { type BubblewrapFixture, makeBubblewrapFixture } from './bubblewrap.fixture.ts'
import { checkBubblewrap } from './bubblewrap-check.ts'
import type { BubblewrapDriver } from './bubblewrap-driver.ts'

let fixture: BubblewrapFixture
let driver: BubblewrapDriver
beforeEach(async () => {
  fixture = await makeBubblewrapFixture()
  driver = fixture.makeDriver()
})
afterEach(() => fixture.dispose())

const named = (checks: Check[]) => Object.fromEntries(checks.map(({ name, ...check }) => [name, check]))

describe('what the machine is found to do', () => {
  test('a setting that forbids any start is said before anything is tried', async () => {
    driver.start = () => Promise.reject(new Error('started all the same'))
    const { usable, isolation, checks } = await checkBubblewrap(driver, 'CLOISTER_SANDBOX_BINDS: it holds secrets')
    expect([usable, isolation]).toEqual([false, null])
    expect(named(checks)['settings']).toEqual({
      ok: false,
      required: true,
      detail: 'CLOISTER_SANDBOX_BINDS: it holds secrets',
      fix: 'correct the setting',
    })
    expect(checks.map(({ name }) => name)).not.toContain('sandbox')
  })

  test('a sandbox that does not start is a reason and a remedy, and leaves nothing', async () => {
    driver.start = () => Promise.reject(new Error('bwrap: No permissions to create new namespace'))
    const { usable, isolation, checks } = await checkBubblewrap(driver, null)
    expect([usable, isolation]).toEqual([false, null])
    const { sandbox } = named(checks)
    expect(sandbox).toMatchObject({ ok: false, required: true, detail: 'bwrap: No permissions to create new namespace' })
    expect(sandbox?.fix).toMatch(/sysctl -w|docker run/)
    expect(await driver.volumes.list()).toEqual([])
  })

  test('weaker limits do not forbid use: they are named, with what would make them stronger', async () => {
    const start = driver.start.bind(driver)
    const limits: Isolation['limits'] = { memory: 'rlimit', cpus: 'absent', pids: 'cgroup2' }
    driver.start = async (...asked) => {
      const { record, sandbox } = await start(...asked)
      return { record: { ...record, isolation: record.isolation && { ...record.isolation, limits } }, sandbox }
    }
    const { usable, isolation, checks } = await checkBubblewrap(driver, null)
    expect([usable, isolation?.limits]).toEqual([true, limits])
    const found = named(checks)
    expect(found['limit memory']).toMatchObject({ ok: false, required: false, detail: expect.stringContaining('by rlimit') })
    expect(found['limit cpus']).toMatchObject({ ok: false, detail: 'not limited', fix: expect.stringContaining('as root') })
    expect(found['limit pids']).toEqual({ ok: true, required: false, detail: 'by cgroup2', fix: null })
    expect(found['git']).toMatchObject({ ok: true, fix: null })
    expect(await driver.leftovers()).toEqual([])
  })
})
