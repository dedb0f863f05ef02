import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { ArtifactView, Tool } from '../../catalog/define-tool.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import download from './download.ts'
import list from './list.ts'
import { NamePattern } from './name-pattern.ts'
import upload from './upload.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => {
  await workspace.clear()
  await workspace.plant({
    'out/report.md': '# Häng\n',
    'out/deep/a.log': 'log',
    'b.log': '',
    'bin.dat': Buffer.from([0xff, 0, 1]),
  })
})

const call = async (tool: Tool, args: object = {}, options = {}) => (await workspace.call(tool, { ...args }, options)).output
const failure = async (tool: Tool, args: object, options = {}) => await workspace.failure(tool, { ...args }, options)

const artifact = {
  id: 'art_1',
  name: 'stored.txt',
  content_type: 'text/plain',
  size_bytes: 6,
  sha256: sha256('héllo'),
  created_at: '2026-01-01T00:00:00.000Z',
}
const artifacts: ArtifactView = {
  list: async (limit) => [artifact, { ...artifact, id: 'art_0', name: 'other.bin' }].slice(0, limit),
  read: async (id, max, offset) =>
    id === 'art_1' ? { artifact, content: Buffer.from('héllo').subarray(offset, offset + max) } : null,
}

describe('artifact.upload', () => {
  it('stores a file, named and typed as asked', async () => {
    const result = await workspace.call(upload, { path: 'out/report.md', content_type: 'text/markdown' })
    expect(result.output).toMatchObject({
      path: 'out/report.md',
      artifact_name: 'report.md',
      content_type: 'text/markdown',
      size_bytes: 8,
      sha256: sha256('# Häng\n'),
      truncated: false,
      exit_code: 0,
    })
    expect(result.artifacts).toEqual([{ name: 'report.md', content_type: 'text/markdown', content: Buffer.from('# Häng\n') }])
    const named = await workspace.call(upload, { path: 'bin.dat', name: 'x.dat' })
    expect(named.artifacts?.[0]).toMatchObject({ name: 'x.dat', content_type: 'application/octet-stream' })
    expect(await call(upload, { path: 'b.log' })).toMatchObject({ size_bytes: 0, truncated: false })
  })

  it('reads more than a piece, and cuts at its limit', async () => {
    await workspace.plant({ big: Buffer.alloc(3_000_000, 'abc') })
    const whole = await workspace.call(upload, { path: 'big', max_bytes: 10 * 1024 * 1024 })
    expect(sha256(whole.artifacts?.[0]?.content as Buffer)).toBe(sha256(Buffer.alloc(3_000_000, 'abc')))
    const cut = await workspace.call(upload, { path: 'big' })
    expect(cut.output).toMatchObject({ size_bytes: 2 * 1024 * 1024, truncated: true, summary: expect.stringContaining('cut') })
    expect(cut.truncated).toBe(true)
  })

  it.each([
    ['a missing file', { path: 'none' }, 'not_found'],
    ['a directory', { path: 'out' }, 'invalid_argument'],
    ['an escape', { path: '../secrets/x' }, 'policy_denied'],
    ['an absolute path', { path: '/etc/hostname' }, 'policy_denied'],
    ['the secrets', { path: `/session/secrets/${SECRET.name}` }, 'policy_denied'],
  ])('refuses %s', async (_, args, code) => {
    expect(await failure(upload, args)).toMatchObject({ code })
  })

  it('does not follow a link out', async () => {
    symlinkSync(join(workspace.secretsInside, SECRET.name), join(workspace.code, 'link'))
    symlinkSync(workspace.secretsInside, join(workspace.code, 'dir'))
    expect(await failure(upload, { path: 'link' })).toMatchObject({ code: 'policy_denied' })
    expect(await failure(upload, { path: `dir/${SECRET.name}` })).toMatchObject({ code: 'policy_denied' })
    expect(await failure(upload, { path: 'b.log' }, { allowed_paths: ['out'] })).toMatchObject({ code: 'policy_denied' })
  })

  it.each([
    { path: 7 },
    {},
    { path: 'b.log', name: 'a/b' },
    { path: 'b.log', name: '..' },
    { path: 'b.log', name: 'a\nb' },
    { path: 'b.log', name: '' },
    { path: 'b.log', content_type: 'text' },
    { path: 'b.log', content_type: 'text/html\r\nx: y' },
    { path: 'b.log', max_bytes: 1023 },
    { path: 'b.log', max_bytes: 10 * 1024 * 1024 + 1 },
    { path: 'b.log', max_bytes: '2048' },
  ])('does not accept %j', (args) => {
    expect(upload.input.safeParse(args).success).toBe(false)
  })
})

describe('artifact.download', () => {
  it('gives files, as base64 or text', async () => {
    expect(await call(download, { path: 'bin.dat' })).toEqual({
      path: 'bin.dat',
      encoding: 'base64',
      content_base64: '/wAB',
      size_bytes: 3,
      sha256: sha256(Buffer.from([0xff, 0, 1])),
      truncated: false,
    })
    expect(await call(download, { path: 'out/report.md', encoding: 'utf8' })).toMatchObject({
      content: '# Häng\n',
      size_bytes: 8,
    })
    await workspace.plant({ long: 'ä'.repeat(600), odd: `a${'ä'.repeat(600)}` })
    expect(await call(download, { path: 'odd', encoding: 'utf8', max_bytes: 1024 })).toMatchObject({
      content: `a${'ä'.repeat(511)}`,
      size_bytes: 1023,
      truncated: true,
    })
    expect(await call(download, { path: 'long', max_bytes: 1024 })).toMatchObject({ size_bytes: 1024, truncated: true })
  })

  it('gives base64 that is whole, whatever is asked for: what does not fit into an output comes in parts', async () => {
    await workspace.plant({ large: 'x'.repeat(400_000) })
    let read = 0
    for (let parts = 0; ; parts++) {
      const part = await call(download, { path: 'large', offset: read, max_bytes: 10 * 1024 * 1024 })
      expect(JSON.stringify(part).length).toBeLessThan(256 * 1024)
      read += Buffer.from(String(part['content_base64']), 'base64').length
      if (part['truncated']) continue
      expect([read, parts]).toEqual([400_000, 2])
      return
    }
  })

  it('reads on from an offset: files and artifacts, and text from the next whole character', async () => {
    await workspace.plant({ parts: `${'a'.repeat(1023)}${'é'.repeat(600)}` })
    expect(await call(download, { path: 'parts', encoding: 'utf8', offset: 1024, max_bytes: 1024 })).toMatchObject({
      content: 'é'.repeat(511),
      truncated: true,
    })
    const end = { path: 'parts', encoding: 'utf8', offset: 2047, max_bytes: 1024 }
    expect(await call(download, end)).toMatchObject({ content: 'é'.repeat(88), truncated: false })
    expect(await call(download, { path: 'parts', offset: 5000 })).toMatchObject({ size_bytes: 0, truncated: false })
    const stored = { artifact_id: 'art_1', encoding: 'utf8', offset: 2 }
    expect(await call(download, stored, { artifacts })).toMatchObject({ content: 'llo', truncated: false })
  })

  it('gives stored artifacts of this session', async () => {
    expect(await call(download, { artifact_id: 'art_1', encoding: 'utf8' }, { artifacts })).toEqual({
      path: null,
      artifact_id: 'art_1',
      name: 'stored.txt',
      encoding: 'utf8',
      content: 'héllo',
      size_bytes: 6,
      sha256: sha256('héllo'),
      truncated: false,
    })
    expect(await failure(download, { artifact_id: 'art_2' }, { artifacts })).toMatchObject({ code: 'not_found' })
  })

  it.each([
    ['neither', {}, 'invalid_argument'],
    ['both', { path: 'b.log', artifact_id: 'art_1' }, 'invalid_argument'],
    ['a missing file', { path: 'none' }, 'not_found'],
    ['a directory', { path: 'out' }, 'invalid_argument'],
    ['bytes as text', { path: 'bin.dat', encoding: 'utf8' }, 'execution_failed'],
    ['an escape', { path: '../../etc/passwd' }, 'policy_denied'],
    ['the secrets', { path: `/session/secrets/${SECRET.name}` }, 'policy_denied'],
  ])('refuses %s', async (_, args, code) => {
    expect(await failure(download, args)).toMatchObject({ code })
  })

  it('does not follow a link out', async () => {
    symlinkSync(join(workspace.secretsInside, SECRET.name), join(workspace.code, 'link'))
    expect(await failure(download, { path: 'link' })).toMatchObject({ code: 'policy_denied' })
  })

  it.each([
    { path: [] },
    { artifact_id: 7 },
    { path: 'x', encoding: 'hex' },
    { path: 'x', max_bytes: 1 },
    { path: 'x', max_bytes: 1.5e9 },
  ])('does not accept %j', (args) => {
    expect(download.input.safeParse(args).success).toBe(false)
  })
})

describe('artifact.list', () => {
  const paths = async (args: object, options = {}) =>
    ((await call(list, args, options)) as { artifacts: { path: string }[] }).artifacts.map(({ path }) => path)

  it('lists files, by path and pattern', async () => {
    await workspace.plant({ '.git/config': '' })
    expect(await call(list)).toEqual({
      path: '.',
      recursive: true,
      pattern: null,
      count: 4,
      truncated: false,
      artifacts: [
        { path: 'b.log', size_bytes: 0 },
        { path: 'bin.dat', size_bytes: 3 },
        { path: 'out/deep/a.log', size_bytes: 3 },
        { path: 'out/report.md', size_bytes: 8 },
      ],
    })
    expect(await paths({ recursive: false })).toEqual(['b.log', 'bin.dat'])
    expect(await paths({ pattern: '*.log' })).toEqual(['b.log', 'out/deep/a.log'])
    expect(await paths({ pattern: 'out/*' })).toEqual(['out/report.md'])
    expect(await paths({ path: 'out', pattern: 'deep/**' })).toEqual(['out/deep/a.log'])
    expect(await paths({ path: 'out/report.md' })).toEqual(['out/report.md'])
    expect(await paths({ pattern: 'none' })).toEqual([])
    expect(await call(list, { max_entries: 2 })).toMatchObject({ count: 2, truncated: true })
    expect(await call(list, { max_entries: 4 })).toMatchObject({ count: 4, truncated: true })
  })

  it('lists what is stored', async () => {
    const stored = (await call(list, { stored: true }, { artifacts })) as { artifacts: object[] }
    expect(stored.artifacts).toEqual([
      expect.objectContaining({ stored: true, artifact_id: 'art_1', path: 'stored.txt', size_bytes: 6 }),
      expect.objectContaining({ artifact_id: 'art_0' }),
    ])
    expect(await paths({ stored: true, pattern: '*.bin' }, { artifacts })).toEqual(['other.bin'])
    expect(await paths({ stored: true })).toEqual([])
  })

  it('does not follow links, and stays in what the session may use', async () => {
    symlinkSync(workspace.secretsInside, join(workspace.code, 'out/secrets'))
    mkdirSync(join(workspace.code, 'other'))
    symlinkSync('../other', join(workspace.code, 'out/other'))
    expect(await paths({ path: 'out' })).toEqual(['out/deep/a.log', 'out/report.md'])
    const limited = { allowed_paths: ['out'] }
    for (const path of ['out/secrets', 'out/other', '.', '../x', '/session/secrets'])
      expect(await failure(list, { path }, limited), path).toMatchObject({
        code: expect.stringMatching(/policy_denied|invalid_argument/),
      })
    expect(await failure(list, { path: 'none' })).toMatchObject({ code: 'not_found' })
  })

  it.each([
    { path: 1 },
    { recursive: 'yes' },
    { max_entries: 0 },
    { max_entries: 2001 },
    { pattern: '' },
    { pattern: 'x'.repeat(513) },
  ])('does not accept %j', (args) => {
    expect(list.input.safeParse(args).success).toBe(false)
  })
})

describe('a pattern', () => {
  it.each<[string, string[], string[]]>([
    ['*.log', ['a.log', 'x/y/a.log', '.log'], ['a.log2', 'log', 'a.log/x']],
    ['a?c', ['abc', 'x/abc'], ['ac', 'a/c']],
    ['**/x', ['x', 'a/x', 'a/b/x'], ['a/y', 'x/a']],
    ['a/**', ['a/b', 'a/b/c', 'a'], ['b/a']],
    ['a/*/c', ['a/b/c'], ['a/c', 'a/b/b/c']],
    ['./a*b*c', ['abc', 'aXbXbXc', 'x/abc'], ['aXc']],
    ['[a].(x)', ['[a].(x)'], ['a.x']],
  ])('%s', (pattern, yes, no) => {
    for (const name of yes) expect(new NamePattern(pattern).matches(name), name).toBe(true)
    for (const name of no) expect(new NamePattern(pattern).matches(name), name).toBe(false)
  })

  it('that is made to take for ever is given up', () => {
    const pattern = new NamePattern(`${'*a'.repeat(200)}b`)
    const name = 'a'.repeat(255)
    expect(pattern.matches(name)).toBe(false)
    expect(() => {
      for (let i = 0; i < 50_000; i++) pattern.matches(name)
    }).toThrow(/takes too long/)
  })
})
