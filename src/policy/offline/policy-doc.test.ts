import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { offlinePolicy } from '../../main.ts'
import { CedarMessageSet } from '../cedar/cedar-message-set.ts'
import { readPolicyTests, runPolicyTests } from './policy-tests.ts'

const text = readFileSync(new URL('../../../docs/policy.md', import.meta.url), 'utf8')
const FENCE = '`'.repeat(3)
const blocks = (language: string) =>
  [...text.matchAll(new RegExp(`${FENCE}${language}\n([\\s\\S]*?)${FENCE}`, 'g'))].map((match) => match[1] as string)

function folder(files: Record<string, string>): string {
  const path = mkdtempSync(join(tmpdir(), 'cloister-policy-doc-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content)
  return path
}

it.each(blocks('cedar').map((policies, index) => [index + 1, policies] as const))(
  'example %i is a set that can be used',
  async (_, policies) => {
    await offlinePolicy(folder({ 'example.cedar': policies }))
  },
)

it('the example about what is said can be used', () => {
  const [policies = ''] = blocks('text')
  expect(new CedarMessageSet([{ name: 'messages/example.cedar', text: policies }]).ids).toEqual([
    'anything-else',
    'no-private-keys',
  ])
})

it('the set in examples/ passes its own tests', async () => {
  const dir = fileURLToPath(new URL('../../../examples/policies/people-change-files', import.meta.url))
  const results = await runPolicyTests(await offlinePolicy(dir), readPolicyTests(dir))
  expect(results).toHaveLength(4)
  expect(results.flatMap(({ problems }) => problems)).toEqual([])
})

it('the tests in it pass under the example that they are for', async () => {
  const [policies, tests] = [blocks('cedar')[0], blocks('json')[0]]
  const dir = folder({ 'example.cedar': policies as string, 'example.test.json': tests as string })
  const results = await runPolicyTests(await offlinePolicy(dir), readPolicyTests(dir))
  expect(results).toHaveLength(9)
  expect(results.flatMap(({ problems }) => problems)).toEqual([])
})
