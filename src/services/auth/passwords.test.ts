import { hash, verify } from '@node-rs/argon2'
import { expect, test } from 'vitest'
import { Passwords } from './passwords.ts'

/** The real thing at its cheapest, counted. */
function counted() {
  const seen = { verified: [] as string[], atOnce: 0, mostAtOnce: 0 }
  const passwords = new Passwords({
    hash: (password) => hash(password, { memoryCost: 8, timeCost: 1 }),
    async verify(hashed, password) {
      seen.verified.push(hashed)
      seen.mostAtOnce = Math.max(seen.mostAtOnce, ++seen.atOnce)
      try {
        return await verify(hashed, password)
      } finally {
        seen.atOnce--
      }
    },
  })
  return { passwords, seen }
}

test('somebody who does not exist costs the same work, and never gets in', async () => {
  const { passwords, seen } = counted()
  const hashed = await passwords.hash('correct horse')
  expect(await passwords.verify(hashed, 'correct horse')).toBe(true)
  expect(await passwords.verify(hashed, 'wrong')).toBe(false)
  for (const password of ['correct horse', '', 'x'.repeat(2000)]) expect(await passwords.verify(null, password)).toBe(false)
  expect(await passwords.verify(hashed, `correct horse${'x'.repeat(2000)}`)).toBe(false)
  expect(seen.verified).toHaveLength(6)
  const parameters = seen.verified.map((entry) => entry.split('$').slice(1, 4).join('$'))
  expect(new Set(parameters).size).toBe(1)
})

test('a password that is too long is not taken for the empty one', async () => {
  const { passwords } = counted()
  expect(await passwords.verify(await passwords.hash(''), 'x'.repeat(2000))).toBe(false)
})

test('two are at work, 64 wait, the next are told to come again; afterwards all is as before', async () => {
  const { passwords, seen } = counted()
  const hashed = await passwords.hash('correct horse')
  await passwords.verify(null, 'x')
  const results = await Promise.allSettled(Array.from({ length: 80 }, () => passwords.verify(hashed, 'correct horse')))
  expect(results.filter((result) => result.status === 'fulfilled' && result.value)).toHaveLength(66)
  for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'rate_limited' })
  expect(seen.mostAtOnce).toBe(2)
  expect(await passwords.verify(hashed, 'correct horse')).toBe(true)
})
