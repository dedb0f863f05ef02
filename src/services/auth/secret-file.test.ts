import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { readOrCreateSecretFile, SecretFileError } from './secret-file.ts'

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  path = join(folder, 'keys', 'jwt')
})

test('is made once, private, and read again', async () => {
  const made = await readOrCreateSecretFile(path)
  expect(made.byteLength).toBe(32)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(await readOrCreateSecretFile(path)).toEqual(made)
  expect(await readOrCreateSecretFile(join(folder, 'other'))).not.toEqual(made)
  expect(readdirSync(join(folder, 'keys'))).toEqual(['jwt'])
})

test('all who ask at once get the same', async () => {
  const values = await Promise.all(Array.from({ length: 20 }, () => readOrCreateSecretFile(path)))
  expect(new Set(values.map((value) => Buffer.from(value).toString('hex'))).size).toBe(1)
  expect(readdirSync(join(folder, 'keys'))).toEqual(['jwt'])
})

describe('is refused, and left as it is:', () => {
  beforeEach(() => mkdirSync(join(folder, 'keys')))

  test.each([0o640, 0o604, 0o620, 0o601, 0o666])('with mode %o', async (mode) => {
    writeFileSync(path, 'x'.repeat(32))
    chmodSync(path, mode)
    await expect(readOrCreateSecretFile(path)).rejects.toThrow('can be read by others')
    expect(statSync(path).mode & 0o777).toBe(mode)
  })

  test.runIf(process.getuid?.() === 0)('of another owner (as root)', async () => {
    writeFileSync(path, 'x'.repeat(32), { mode: 0o600 })
    chownSync(path, 12_345, 12_345)
    await expect(readOrCreateSecretFile(path)).rejects.toThrow('belongs to the user 12345')
  })

  test('a link', async () => {
    writeFileSync(join(folder, 'target'), 'x'.repeat(32), { mode: 0o600 })
    symlinkSync(join(folder, 'target'), path)
    await expect(readOrCreateSecretFile(path)).rejects.toThrow('symbolic link')
  })

  test('a link to nowhere', async () => {
    symlinkSync(join(folder, 'nowhere'), path)
    await expect(readOrCreateSecretFile(path)).rejects.toThrow(SecretFileError)
    expect(readdirSync(folder)).toEqual(['keys'])
  })

  test('too few bytes', async () => {
    writeFileSync(path, 'short', { mode: 0o600 })
    await expect(readOrCreateSecretFile(path)).rejects.toThrow('5 bytes')
  })

  test('a directory', async () => {
    mkdirSync(path)
    await expect(readOrCreateSecretFile(path)).rejects.toThrow('not a plain file')
  })
})
