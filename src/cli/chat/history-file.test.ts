import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { HistoryFile } from './history-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'cloister-history-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('newest first, over several processes, lines and all', () => {
  const file = join(folder, 'a', 'b', 'history')
  expect(new HistoryFile(file).load()).toEqual([])
  new HistoryFile(file).add('one')
  new HistoryFile(file).add('two\nlines "quoted"')
  expect(new HistoryFile(file).load()).toEqual(['two\nlines "quoted"', 'one'])
})

test('only its owner can read it, also where it was left open', () => {
  const file = join(folder, 'mode', 'history')
  new HistoryFile(file).add('x')
  expect([statSync(file).mode & 0o777, statSync(join(folder, 'mode')).mode & 0o777]).toEqual([0o600, 0o700])
  mkdirSync(join(folder, 'open'))
  const open = join(folder, 'open', 'history')
  writeFileSync(open, '', { mode: 0o644 })
  new HistoryFile(open).add('x')
  expect(statSync(open).mode & 0o777).toBe(0o600)
})

test('what begins with a space is not kept', () => {
  const file = join(folder, 'secret', 'history')
  new HistoryFile(file).add(' the password is hunter22')
  new HistoryFile(file).add('  ')
  expect(existsSync(file)).toBe(false)
})

test('a broken line harms no other', () => {
  const file = join(folder, 'broken')
  writeFileSync(file, '"one"\n"tw\n{"a": 1}\n"three"\n')
  expect(new HistoryFile(file).load()).toEqual(['three', 'one'])
})

test('it does not grow without end', () => {
  const file = join(folder, 'long')
  writeFileSync(file, Array.from({ length: 2500 }, (_, i) => `"${i}"\n`).join(''))
  const entries = new HistoryFile(file).load()
  expect([entries.length, entries[0]]).toEqual([1000, '2499'])
  expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(1000)
})
