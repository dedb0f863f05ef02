import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ArtifactStore } from './artifact-store.ts'
import { LocalArtifactStore } from './local/local-artifact-store.ts'

/** What every artifact store must do. A new one is one line here. */
const STORES: Record<string, () => ArtifactStore> = {
  local: () => {
    const root = mkdtempSync(join(tmpdir(), 'cloister-test-'))
    onTestFinished(() => rmSync(root, { recursive: true, force: true }))
    return new LocalArtifactStore(join(root, 'artifacts'))
  },
}

const NOT_IDS = [
  '',
  '.',
  '..',
  '../x',
  'a/b',
  '/etc/passwd',
  'a\0b',
  '.incoming',
  'A',
  'a b',
  '-a',
  '_a',
  'x'.repeat(65),
  'ü',
  'a\n',
]

for (const [name, make] of Object.entries(STORES)) {
  describe(name, () => {
    test.each([0, 1, 65_537, 5_000_000])('%d bytes come back, with their digest', async (size) => {
      const store = make()
      const content = randomBytes(size)
      const sha256 = createHash('sha256').update(content).digest('hex')
      expect(await store.put('ses_1', 'art_1', content)).toEqual({ size_bytes: size, sha256 })
      expect((await store.read('ses_1', 'art_1'))?.equals(content)).toBe(true)
      const stream = await store.get('ses_1', 'art_1')
      expect(stream && (await buffer(stream)).equals(content)).toBe(true)
    })

    test('what is not there is null', async () => {
      const store = make()
      await store.put('ses_1', 'art_1', Buffer.from('x'))
      for (const [session, artifact] of [
        ['ses_1', 'art_2'],
        ['ses_2', 'art_1'],
      ] as const) {
        expect(await store.read(session, artifact)).toBeNull()
        expect(await store.get(session, artifact)).toBeNull()
        expect(await store.get(session, artifact, { start: 0, end: 1 })).toBeNull()
      }
    })

    test.each([
      [0, 0, 'a'],
      [0, 9, 'abcdefghij'],
      [3, 5, 'def'],
      [9, 9, 'j'],
      [8, 1000, 'ij'],
    ])('bytes %d to %d', async (start, end, expected) => {
      const store = make()
      await store.put('ses_1', 'art_1', Buffer.from('abcdefghij'))
      const stream = await store.get('ses_1', 'art_1', { start, end })
      expect(stream && (await buffer(stream)).toString()).toBe(expected)
    })

    test.each([
      [10, 11],
      [5, 4],
      [-1, 3],
      [0.5, 3],
      [0, Number.NaN],
    ])('no bytes %d to %d', async (start, end) => {
      const store = make()
      await store.put('ses_1', 'art_1', Buffer.from('abcdefghij'))
      await expect(store.get('ses_1', 'art_1', { start, end })).rejects.toMatchObject({ code: 'invalid_argument' })
    })

    test('put again replaces as a whole, and who reads has one or the other', async () => {
      const store = make()
      const [a, b] = [Buffer.alloc(1_000_000, 'a'), Buffer.alloc(1_000_000, 'b')]
      await store.put('ses_1', 'art_1', a)
      const reads = Array.from({ length: 20 }, () => store.read('ses_1', 'art_1'))
      const puts = Array.from({ length: 10 }, (_, i) => store.put('ses_1', 'art_1', i % 2 ? a : b))
      for (const content of await Promise.all(reads)) expect(content?.equals(a) || content?.equals(b)).toBe(true)
      await Promise.all(puts)
    })

    test("a session's artifacts go with it, and no others", async () => {
      const store = make()
      await store.put('ses_1', 'art_1', Buffer.from('x'))
      await store.put('ses_10', 'art_1', Buffer.from('y'))
      await store.deleteSession('ses_1')
      await store.deleteSession('ses_1')
      expect(await store.read('ses_1', 'art_1')).toBeNull()
      expect((await store.read('ses_10', 'art_1'))?.toString()).toBe('y')
      await store.put('ses_1', 'art_1', Buffer.from('z'))
      expect((await store.read('ses_1', 'art_1'))?.toString()).toBe('z')
    })

    test.each(NOT_IDS)('%j is no id', async (id) => {
      const store = make()
      for (const attempt of [
        () => store.put(id, 'art_1', Buffer.from('x')),
        () => store.put('ses_1', id, Buffer.from('x')),
        () => store.get(id, 'art_1'),
        () => store.get('ses_1', id),
        () => store.read(id, 'art_1'),
        () => store.read('ses_1', id),
        () => store.deleteSession(id),
      ])
        await expect(attempt()).rejects.toMatchObject({ code: 'invalid_argument' })
    })
  })
}
