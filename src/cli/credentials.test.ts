import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CliError } from './cli-error.ts'
import { Credentials } from './credentials.ts'

let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-credentials-'))
  file = join(folder, 'cloister', 'credentials.json')
})

afterEach(() => rmSync(folder, { recursive: true }))

const one = { token: 'jwt-1', user: 'admin', expires_at: null }

test('a token is kept for its own server only, in a file for its owner only', () => {
  const credentials = new Credentials(file)
  expect(credentials.get('http://127.0.0.1:50053')).toBeUndefined()
  credentials.set('http://127.0.0.1:50053/', one)
  expect(new Credentials(file).get('http://127.0.0.1:50053')).toEqual(one)
  expect(credentials.get('http://127.0.0.1:50054')).toBeUndefined()
  expect(credentials.get('https://127.0.0.1:50053')).toBeUndefined()
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(statSync(join(folder, 'cloister')).mode & 0o777).toBe(0o700)
})

test('is gone after deletion', () => {
  const credentials = new Credentials(file)
  credentials.set('http://a', one)
  expect(credentials.delete('http://b')).toBe(false)
  expect(credentials.delete('http://a')).toBe(true)
  expect(credentials.get('http://a')).toBeUndefined()
})

test.each(['not json', '{"servers": {"http://a": {"token": 1}}}'])(
  'a file that is something else is not overwritten: %s',
  (text) => {
    file = join(folder, 'credentials.json')
    writeFileSync(file, text)
    expect(() => new Credentials(file).set('http://a', one)).toThrow(CliError)
  },
)
