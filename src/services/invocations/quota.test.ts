import { describe, expect, it } from 'vitest'
import { Quota } from './quota.ts'

const NONE = { perMinutePerSession: 0, perMinutePerPrincipal: 0, concurrentPerSession: 0 }

function at(limits: Partial<typeof NONE>) {
  const clock = { now: 1_000_000 }
  return { clock, quota: new Quota({ ...NONE, ...limits }, () => clock.now) }
}

describe('Quota', () => {
  it('without limits refuses nothing', () => {
    const { quota } = at({})
    for (let i = 0; i < 5000; i++) expect(quota.enter('s', 'p').ok).toBe(true)
  })

  it('lets so many calls of a session into any minute, and says when the next one fits', () => {
    const { clock, quota } = at({ perMinutePerSession: 2 })
    expect(quota.enter('s', 'p').ok).toBe(true)
    clock.now += 20_000
    expect(quota.enter('s', 'q').ok).toBe(true)
    expect(quota.enter('s', 'p')).toMatchObject({ ok: false, retryAfterSeconds: 40 })
    expect(quota.enter('other', 'p').ok).toBe(true)
    clock.now += 39_999
    expect(quota.enter('s', 'p')).toMatchObject({ ok: false, retryAfterSeconds: 1 })
    clock.now += 1
    expect(quota.enter('s', 'p').ok).toBe(true)
    expect(quota.enter('s', 'p')).toMatchObject({ ok: false, retryAfterSeconds: 20 })
  })

  it('counts a principal over its sessions', () => {
    const { quota } = at({ perMinutePerPrincipal: 1 })
    expect(quota.enter('a', 'p').ok).toBe(true)
    expect(quota.enter('b', 'p').ok).toBe(false)
    expect(quota.enter('b', 'q').ok).toBe(true)
  })

  it('does not count what it refused', () => {
    const { clock, quota } = at({ perMinutePerSession: 1, perMinutePerPrincipal: 2 })
    expect(quota.enter('a', 'p').ok).toBe(true)
    expect(quota.enter('a', 'p').ok).toBe(false)
    expect(quota.enter('b', 'p').ok).toBe(true)
    clock.now += 60_000
    expect(quota.enter('a', 'p').ok).toBe(true)
  })

  it('tells who goes on after as many refusals, until they are a minute old', () => {
    const { clock, quota } = at({ perMinutePerSession: 3 })
    for (let i = 0; i < 5; i++) quota.enter('s', 'p')
    expect(quota.flooded('s', 'p')).toBeNull()
    expect(quota.enter('s', 'p').ok).toBe(false)
    clock.now += 10_000
    expect(quota.flooded('s', 'p')).toMatchObject({ ok: false, retryAfterSeconds: 50 })
    expect(quota.flooded('other', 'p')).toBeNull()
    clock.now += 50_000
    expect(quota.flooded('s', 'p')).toBeNull()
  })

  it('counts as refused who finds no place, too', () => {
    const { quota } = at({ perMinutePerSession: 10, concurrentPerSession: 1 })
    for (let i = 0; i < 11; i++) quota.enter('s', 'p')
    expect(quota.flooded('s', 'p')).not.toBeNull()
  })

  it('limits how many run at once, and a release counts once', () => {
    const { quota } = at({ concurrentPerSession: 2 })
    const first = quota.enter('s', 'p')
    expect(quota.enter('s', 'p').ok).toBe(true)
    expect(quota.enter('s', 'p')).toMatchObject({ ok: false, retryAfterSeconds: 1 })
    expect(quota.enter('other', 'p').ok).toBe(true)
    if (first.ok) {
      first.release()
      first.release()
    }
    expect(quota.enter('s', 'p').ok).toBe(true)
    expect(quota.enter('s', 'p').ok).toBe(false)
  })

  it('counts a call that was admitted before, without refusing it', () => {
    const { quota } = at({ concurrentPerSession: 1 })
    const release = quota.occupy('s')
    quota.occupy('s')()
    expect(quota.enter('s', 'p').ok).toBe(false)
    release()
    expect(quota.enter('s', 'p').ok).toBe(true)
  })
})
