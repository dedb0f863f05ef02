import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CodeSources } from './code-sources.ts'

let folder: string
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'cloister-sources-')))
  for (const path of ['root/project', 'root/home/volumes', 'rootless', 'elsewhere'])
    mkdirSync(join(folder, path), { recursive: true })
  writeFileSync(join(folder, 'root/file'), '')
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'root/out'))
  symlinkSync(join(folder, 'root/project'), join(folder, 'elsewhere/in'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const sources = (fields: { sourceRoots?: string[] } = {}) =>
  new CodeSources({
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
    const admitted = sources().admitDirectory(join(folder, path))
    if (accepted) await expect(admitted).resolves.toBe(join(folder, 'root/project'))
    else await expect(admitted).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  it('tells nobody what exists outside of the roots', async () => {
    const messages = await Promise.all(
      [join(folder, 'elsewhere'), join(folder, 'missing'), 'relative', '/etc\0'].map((path) =>
        sources()
          .admitDirectory(path)
          .catch((error: Error) => error.message),
      ),
    )
    expect(new Set(messages).size).toBe(1)
  })

  it('is refused when no root is configured', async () => {
    await expect(sources({ sourceRoots: [] }).admitDirectory(join(folder, 'root/project'))).rejects.toThrow(
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
    if (accepted) expect(sources().admitRepository(url).host).toBeTruthy()
    else expect(() => sources().admitRepository(url)).toThrow(/repo_url/)
  })
})

describe('the address that a clone is pinned to', () => {
  it.each([
    ['http://127.0.0.1:8080/x', null],
    ['https://8.8.8.8/x', '8.8.8.8:443:8.8.8.8'],
    ['https://[2606:4700::1111]:8443/x', '2606:4700::1111:8443:[2606:4700::1111]'],
  ])('%s: %s', async (url, expected) => {
    expect(await sources().pinAddress(new URL(url))).toBe(expected)
  })

  it.each([
    ['https://127.0.0.1/x'],
    ['https://169.254.169.254/latest'],
    ['https://localhost/x'],
    ['https://[::1]/x'],
    ['https://no-such-host.invalid/x'],
  ])('%s is refused', async (url) => {
    await expect(sources().pinAddress(new URL(url))).rejects.toMatchObject({ code: 'conflict' })
  })
})
