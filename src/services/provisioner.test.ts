import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { VolumeStore } from '../sandbox/sandbox-driver.ts'
import { isPrivateAddress, Provisioner, sessionFile } from './provisioner.ts'

let folder: string
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'cloister-provisioner-')))
  for (const path of ['root/project', 'root/home/volumes', 'rootless', 'elsewhere'])
    mkdirSync(join(folder, path), { recursive: true })
  writeFileSync(join(folder, 'root/file'), '')
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'root/out'))
  symlinkSync(join(folder, 'root/project'), join(folder, 'elsewhere/in'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const provisioner = (fields: { sourceRoots?: string[]; repoHosts?: string[] } = {}) =>
  new Provisioner({
    // Neither is used by what is tested here; a call would throw.
    volumes: {} as VolumeStore,
    invocations: {} as never,
    sourceRoots: [join(folder, 'root')],
    ownDirectories: [join(folder, 'root/home')],
    repoHosts: ['github.com', 'git.example.org:8443', 'http://127.0.0.1:8080'],
    ...fields,
  })

describe('source_repo_path', () => {
  it.each([
    ['root/project', true],
    ['elsewhere/in', true],
    ['root/project/../project', true],
    ['root', false],
    ['root/home', false],
    ['root/home/volumes', false],
    ['root/out', false],
    ['root/file', false],
    ['root/missing', false],
    ['rootless', false],
    ['elsewhere', false],
    ['root/../elsewhere', false],
  ])('%s: %s', async (path, accepted) => {
    const admitted = provisioner().admitSource(join(folder, path))
    if (accepted) await expect(admitted).resolves.toBe(join(folder, 'root/project'))
    else await expect(admitted).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  it('tells nobody what exists outside of the roots', async () => {
    const messages = await Promise.all(
      [join(folder, 'elsewhere'), join(folder, 'missing'), 'relative', '/etc\0'].map((path) =>
        provisioner()
          .admitSource(path)
          .catch((error: Error) => error.message),
      ),
    )
    expect(new Set(messages).size).toBe(1)
  })

  it('is refused when no root is configured', async () => {
    await expect(provisioner({ sourceRoots: [] }).admitSource(join(folder, 'root/project'))).rejects.toThrow(
      /CLOISTER_SOURCE_ROOTS/,
    )
  })
})

describe('repo_url', () => {
  it.each([
    ['https://github.com/owner/name.git', true],
    ['https://GitHub.com/owner/name', true],
    ['https://git.example.org:8443/x', true],
    ['http://127.0.0.1:8080/x.git', true],
    ['http://github.com/owner/name.git', false],
    ['https://github.com:444/owner/name.git', false],
    ['https://github.com.evil.org/x', false],
    ['https://evil.org/github.com', false],
    ['https://token@github.com/owner/name', false],
    ['http://127.0.0.1:8081/x.git', false],
    ['https://127.0.0.1:8080/x.git', false],
    ['file:///etc', false],
    ['/etc', false],
    ['git@github.com:owner/name.git', false],
    ['ext::sh -c id', false],
    ['ssh://github.com/x', false],
    ['--upload-pack=evil', false],
  ])('%s: %s', (url, accepted) => {
    if (accepted) expect(provisioner().admitRepository(url).host).toBeTruthy()
    else expect(() => provisioner().admitRepository(url)).toThrow(/repo_url/)
  })
})

it.each([
  ['127.0.0.1', true],
  ['10.1.2.3', true],
  ['169.254.169.254', true],
  ['172.31.0.1', true],
  ['172.32.0.1', false],
  ['192.168.1.1', true],
  ['100.64.0.1', true],
  ['0.0.0.0', true],
  ['8.8.8.8', false],
  ['::1', true],
  ['::', true],
  ['fd00::1', true],
  ['fe80::1', true],
  ['::ffff:127.0.0.1', true],
  ['::ffff:8.8.8.8', false],
  ['64:ff9b::7f00:1', true],
  ['2606:4700::1111', false],
])('%s is private: %s', (address, expected) => {
  expect(isPrivateAddress(address)).toBe(expected)
})

it('instructions lie beside the code, or out of the way of a repository', () => {
  expect(sessionFile({ repo_url: null, source_repo_path: null }, 'instructions.md')).toBe('/session/code/instructions.md')
  expect(sessionFile({ repo_url: 'https://github.com/x', source_repo_path: null }, 'setup.sh')).toBe(
    '/session/code/.cloister/setup.sh',
  )
})
