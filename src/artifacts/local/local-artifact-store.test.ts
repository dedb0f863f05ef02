import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { LocalArtifactStore } from './local-artifact-store.ts'

let root: string

beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  root = join(folder, 'artifacts')
})

const mode = (path: string) => statSync(path).mode & 0o777

test('directories and files are private, also a root that was not', async () => {
  mkdirSync(root)
  chmodSync(root, 0o755)
  const store = new LocalArtifactStore(root)
  await store.put('ses_1', 'art_1', Buffer.from('x'))
  expect([root, join(root, 'ses_1'), join(root, '.incoming'), join(root, 'ses_1', 'art_1')].map(mode)).toEqual([
    0o700, 0o700, 0o700, 0o600,
  ])
})

test("a link in an artifact's place is not followed, and not written through", async () => {
  const store = new LocalArtifactStore(root)
  await store.put('ses_1', 'art_1', Buffer.from('x'))
  const victim = join(root, 'victim')
  writeFileSync(victim, 'precious')
  symlinkSync(victim, join(root, 'ses_1', 'art_2'))
  await expect(store.read('ses_1', 'art_2')).rejects.toMatchObject({ code: 'store_unavailable' })
  await expect(store.get('ses_1', 'art_2')).rejects.toMatchObject({ code: 'store_unavailable' })
  await store.put('ses_1', 'art_2', Buffer.from('new'))
  expect((await store.read('ses_1', 'art_2'))?.toString()).toBe('new')
  expect((await new LocalArtifactStore(root).read('ses_1', 'art_1'))?.toString()).toBe('x')
  expect(statSync(victim).size).toBe('precious'.length)
})

test('a write that fails leaves nothing, and says store_unavailable', async () => {
  const store = new LocalArtifactStore(root)
  // A directory in the way: the rename fails after everything was written.
  mkdirSync(join(root, 'ses_1', 'art_1', 'in-the-way'), { recursive: true })
  await expect(store.put('ses_1', 'art_1', Buffer.from('x'))).rejects.toMatchObject({ code: 'store_unavailable' })
  expect(readdirSync(join(root, '.incoming'))).toEqual([])
})

test('what a dead server left unfinished is swept, what another writes now is not', async () => {
  new LocalArtifactStore(root)
  const [old, fresh, deleted] = ['art_1.aa', 'art_2.bb', 'deleted.ses_1.cc'].map((name) => join(root, '.incoming', name)) as [
    string,
    string,
    string,
  ]
  for (const path of [old, fresh]) writeFileSync(path, 'half')
  mkdirSync(deleted)
  utimesSync(old, new Date(0), new Date(0))
  new LocalArtifactStore(root)
  expect([old, fresh, deleted].map((path) => existsSync(path))).toEqual([false, true, false])
})
