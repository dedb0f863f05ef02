import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readSecrets } from './secret-option.ts'

const none = { variable: () => undefined }

test('from the environment, by question, from a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-secret-'))
  writeFileSync(join(folder, 'key'), 'line 1\nline 2\n')
  const variable = (name: string) => (name === 'FROM_ENV' ? 'env-value' : undefined)
  const ask = async (name: string) => `typed ${name}`
  const secrets = await readSecrets(['FROM_ENV', 'ASKED', `KEY=@${join(folder, 'key')}`], { variable, ask })
  expect(secrets).toEqual({ FROM_ENV: 'env-value', ASKED: 'typed ASKED', KEY: 'line 1\nline 2' })
  rmSync(folder, { recursive: true })
})

test.each([
  ['a value on the command line', ['TOKEN=hunter22'], /must not stand on the command line/],
  ['an empty value on the command line', ['TOKEN='], /must not stand on the command line/],
  ['no value anywhere', ['TOKEN'], /no value for the secret TOKEN/],
  ['a name that is none', ['1TOKEN'], /cannot be the name/],
  ['a missing file', ['TOKEN=@/nonexistent/file'], /cannot read the file/],
])('%s is refused', async (_what, options, message) => {
  await expect(readSecrets(options, none)).rejects.toThrow(message)
})

test('the refusal does not repeat the value', async () => {
  await expect(readSecrets(['TOKEN=hunter22'], none)).rejects.not.toThrow(/hunter22/)
})

test('a secret given twice is refused', async () => {
  await expect(readSecrets(['A', 'A'], { variable: () => 'x' })).rejects.toThrow(/twice/)
})
