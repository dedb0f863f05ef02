import { expect, test } from 'vitest'
import { LoginLimiter } from './login-limiter.ts'

const LIMITED = expect.objectContaining({ code: 'rate_limited' })

function tried(attempt: () => unknown): unknown {
  try {
    attempt()
    return 'let through'
  } catch (error) {
    return error
  }
}

test('logins that succeed cost an address nothing', () => {
  const limiter = new LoginLimiter(() => new Date(0))
  for (let i = 0; i < 500; i++) limiter.begin(`user-${i}`, '10.0.0.1')()
  for (let i = 0; i < 100; i++) limiter.begin(`other-${i}`, '10.0.0.1')
  expect(tried(() => limiter.begin('one-more', '10.0.0.1'))).toEqual(LIMITED)
})

test('without an address only the name counts: nobody locks out everybody', () => {
  const limiter = new LoginLimiter(() => new Date(0))
  for (let i = 0; i < 500; i++) limiter.begin(`user-${i}`, '')
  expect(tried(() => limiter.begin('alice', ''))).toBe('let through')
})

test('a limit that was reached ends with its window, and is not stretched by more attempts', () => {
  let now = 0
  const limiter = new LoginLimiter(() => new Date(now))
  for (let i = 0; i < 10; i++) limiter.begin('alice', '10.0.0.1')
  for (now = 0; now < 900_000; now += 100_000) expect(tried(() => limiter.begin('alice', '10.0.0.1'))).toEqual(LIMITED)
  now = 899_999
  expect(tried(() => limiter.begin('alice', '10.0.0.1'))).toMatchObject({ details: { retry_after_seconds: 1 } })
  now = 900_000
  expect(tried(() => limiter.begin('alice', '10.0.0.1'))).toBe('let through')
})

test('names and addresses cannot be made to run into each other', () => {
  const limiter = new LoginLimiter(() => new Date(0))
  for (let i = 0; i < 10; i++) limiter.begin('x","y', '')
  expect(tried(() => limiter.begin('y', 'x'))).toBe('let through')
  expect(tried(() => limiter.begin('x","y', ''))).toEqual(LIMITED)
})
