import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import copy from './copy.ts'
import remove from './delete.ts'
import glob from './glob.ts'
import insert from './insert.ts'
import mkdir from './mkdir.ts'
import move from './move.ts'
import readLines from './read_lines.ts'
import stat from './stat.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const path = (name: string) => join(workspace.code, name)
const text = (name: string) => readFileSync(path(name), 'utf8')
const call = async (tool: Tool, args: Record<string, unknown>, options = {}) => (await workspace.call(tool, args, options)).output
const failure = async (tool: Tool, args: Record<string, unknown>, options = {}) => await workspace.failure(tool, args, options)

describe('fs.stat', () => {
  it('describes what is there, links themselves, and says when nothing is', async () => {
    await workspace.plant({ 'a.txt*': 'abc' })
    symlinkSync('/etc/passwd', path('link'))
    const modified_at = statSync(path('a.txt')).mtime.toISOString()
    expect(await call(stat, { path: 'a.txt' })).toEqual({
      path: 'a.txt',
      exists: true,
      type: 'file',
      size_bytes: 3,
      mode: '0755',
      modified_at,
    })
    expect(await call(stat, { path: '.' })).toMatchObject({ path: '.', type: 'dir' })
    expect(await call(stat, { path: 'link' })).toMatchObject({ type: 'symlink' })
    expect(await call(stat, { path: 'no/where' })).toEqual({ path: 'no/where', exists: false })
  })
})

describe('fs.mkdir', () => {
  it('makes directories with their mode, and leaves what is there', async () => {
    expect(await call(mkdir, { path: 'a/b', mode: '700' })).toEqual({ path: 'a/b', created: true, mode: '0700' })
    expect(await call(mkdir, { path: 'a/b' })).toEqual({ path: 'a/b', created: false, mode: '0700' })
    expect(statSync(path('a/b')).isDirectory()).toBe(true)
  })

  it('says what is in the way', async () => {
    await workspace.plant({ file: '', 'dir/x': '' })
    expect(await failure(mkdir, { path: 'file' })).toMatchObject({ code: 'execution_failed' })
    expect(await failure(mkdir, { path: 'dir', exist_ok: false })).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('exist_ok'),
    })
    expect(await failure(mkdir, { path: 'no/such', create_parents: false })).toMatchObject({ code: 'not_found' })
    for (const mode of ['', '0999', '1777', 'rwx', '04755'])
      expect(mkdir.input.safeParse({ path: 'x', mode }).success, mode).toBe(false)
  })
})

describe('fs.move', () => {
  it('moves files, directories and links', async () => {
    await workspace.plant({ 'a.txt': 'a', 'dir/x': 'x' })
    symlinkSync('a.txt', path('link'))
    const moved = await call(move, { source_path: 'a.txt', destination_path: 'new/b.txt' })
    expect(moved).toEqual({ source_path: 'a.txt', destination_path: 'new/b.txt', moved: true })
    await call(move, { source_path: 'dir', destination_path: 'dir2' })
    await call(move, { source_path: 'link', destination_path: 'link2' })
    expect([text('new/b.txt'), text('dir2/x'), readlinkSync(path('link2'))]).toEqual(['a', 'x', 'a.txt'])
    expect([existsSync(path('a.txt')), existsSync(path('dir'))]).toEqual([false, false])
  })

  it('does not overwrite unless told to, and that needs approval', async () => {
    await workspace.plant({ a: 'a', b: 'b' })
    const args = { source_path: 'a', destination_path: 'b' }
    expect(await failure(move, args)).toMatchObject({ code: 'execution_failed', message: expect.stringContaining('exists') })
    expect([text('a'), text('b')]).toEqual(['a', 'b'])
    expect(move.approvalReason({ ...args, overwrite: false })).toBeNull()
    expect(move.approvalReason({ ...args, overwrite: true })).toContain('overwrite')
    await call(move, { ...args, overwrite: true })
    expect(text('b')).toBe('a')
  })

  it('knows the same path, and what is missing', async () => {
    await workspace.plant({ a: 'a' })
    expect(await call(move, { source_path: 'a', destination_path: './x/../a' })).toMatchObject({ moved: false })
    expect(await failure(move, { source_path: 'no', destination_path: 'no' })).toMatchObject({ code: 'not_found' })
    expect(await failure(move, { source_path: 'no', destination_path: 'b' })).toMatchObject({ code: 'not_found' })
    expect(await failure(move, { source_path: 'a', destination_path: 'no/b', create_parents: false })).toMatchObject({
      code: 'not_found',
    })
  })
})

describe('fs.copy', () => {
  it('copies files with their mode, links as links, and directories when asked', async () => {
    await workspace.plant({ 'a*': 'a', 'dir/x': 'x' })
    symlinkSync('/etc/passwd', path('dir/link'))
    const copied = await call(copy, { source_path: 'a', destination_path: 'new/b' })
    expect(copied).toEqual({ source_path: 'a', destination_path: 'new/b', copied: true, type: 'file' })
    expect([text('a'), text('new/b'), statSync(path('new/b')).mode & 0o777]).toEqual(['a', 'a', 0o755])
    expect(await call(copy, { source_path: 'dir', destination_path: 'dir2', recursive: true })).toMatchObject({ type: 'dir' })
    expect([text('dir2/x'), readlinkSync(path('dir2/link'))]).toEqual(['x', '/etc/passwd'])
  })

  it.each([
    [{ source_path: 'a', destination_path: 'a' }, 'invalid_argument'],
    [{ source_path: 'dir', destination_path: 'dir2' }, 'invalid_argument'],
    [{ source_path: 'dir', destination_path: 'dir/in', recursive: true }, 'invalid_argument'],
    [{ source_path: 'no', destination_path: 'b' }, 'not_found'],
    [{ source_path: 'a', destination_path: 'dir/x' }, 'execution_failed'],
  ])('refuses %j', async (args, code) => {
    await workspace.plant({ a: 'a', 'dir/x': 'x' })
    expect(await failure(copy, args)).toMatchObject({ code })
    expect([text('a'), text('dir/x'), existsSync(path('dir2')), existsSync(path('dir/in'))]).toEqual(['a', 'x', false, false])
  })

  it('needs approval to overwrite', async () => {
    await workspace.plant({ a: 'a', b: 'b' })
    const args = { source_path: 'a', destination_path: 'b', overwrite: true }
    expect(copy.approvalReason(args)).toContain('overwrite')
    await call(copy, args)
    expect(text('b')).toBe('a')
  })
})

describe('fs.delete', () => {
  it('deletes files, links and directories', async () => {
    await workspace.plant({ a: '', 'dir/x/y': '', kept: 'kept' })
    symlinkSync('kept', path('link'))
    symlinkSync('/etc', path('dir/etc'))
    expect(await call(remove, { path: 'a' })).toEqual({ path: 'a', deleted: true, existed: true })
    await call(remove, { path: 'link' })
    await call(remove, { path: 'dir', recursive: true })
    expect(['a', 'link', 'dir'].map((name) => existsSync(path(name)))).toEqual([false, false, false])
    expect([text('kept'), existsSync('/etc/passwd')]).toEqual(['kept', true])
  })

  it('says what is missing, and accepts it when forced', async () => {
    expect(await failure(remove, { path: 'no' })).toMatchObject({ code: 'not_found', message: expect.stringContaining('force') })
    expect(await call(remove, { path: 'no', force: true })).toEqual({ path: 'no', deleted: false, existed: false })
  })

  it('needs recursive for a directory, and never takes a root or a .git', async () => {
    await workspace.plant({ 'dir/x': '', '.git/config': '', 'sub/.git/config': '' })
    expect(await failure(remove, { path: 'dir' })).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('recursive'),
    })
    for (const root of ['.', '/session/code', '/session/data', 'dir/..', '.git', '.git/config', 'sub', 'sub/.git'])
      expect(await failure(remove, { path: root, recursive: true, force: true }), root).toMatchObject({ code: 'policy_denied' })
    expect(['dir/x', '.git/config', 'sub/.git/config'].map((name) => existsSync(path(name)))).toEqual([true, true, true])
  })
})

describe('fs.read_lines', () => {
  beforeEach(async () => await workspace.plant({ a: Array.from({ length: 600 }, (_, n) => `line ${n + 1}`).join('\n') }))

  it('gives lines with their numbers', async () => {
    expect(await call(readLines, { path: 'a', start_line: 2, end_line: 3 })).toEqual({
      path: 'a',
      start_line: 2,
      end_line: 3,
      total_lines: 600,
      content: '2\tline 2\n3\tline 3\n',
    })
    expect(await call(readLines, { path: 'a' })).toMatchObject({ start_line: 1, end_line: 100 })
    expect(await call(readLines, { path: 'a', start_line: 550 })).toMatchObject({
      end_line: 600,
      content: expect.stringMatching(/600\tline 600$/),
    })
    expect(await call(readLines, { path: 'a', start_line: 601 })).toMatchObject({ content: '', total_lines: 600 })
  })

  it('reads files of several pieces, and empty ones', async () => {
    await workspace.plant({ big: `${'é'.repeat(999)}\n`.repeat(1500), empty: '' })
    const wanted = { total_lines: 1500, content: `1500\t${'é'.repeat(999)}\n` }
    expect(await call(readLines, { path: 'big', start_line: 1500 })).toMatchObject(wanted)
    expect(await call(readLines, { path: 'empty' })).toMatchObject({ total_lines: 0, end_line: 0, content: '' })
  })

  it.each([
    [{ path: 'a', start_line: 5, end_line: 4 }, 'invalid_argument'],
    [{ path: 'a', start_line: 1, end_line: 501 }, 'invalid_argument'],
    [{ path: 'bin' }, 'invalid_argument'],
    [{ path: 'no' }, 'not_found'],
    [{ path: '.' }, 'invalid_argument'],
  ])('refuses %j', async (args, code) => {
    await workspace.plant({ bin: Buffer.from([0, 1]) })
    expect(await failure(readLines, args)).toMatchObject({ code })
  })
})

describe('fs.insert', () => {
  it.each([
    ['a\nb\n', 0, 'x\n', 'x\na\nb\n', 1],
    ['a\nb\n', 1, 'x', 'a\nx\nb\n', 2],
    ['a\nb\n', 2, 'x', 'a\nb\nx', 3],
    ['a\nb', 99, 'x\ny\n', 'a\nb\nx\ny\n', 3],
    ['a\r\nb', 2, 'x', 'a\r\nb\r\nx', 3],
    ['', 0, 'x\n', 'x\n', 1],
  ])('into %j after line %i', async (before, line, content, after, inserted_at) => {
    await workspace.plant({ f: before })
    const total_lines = after.split(/(?<=\n)/).length
    expect(await call(insert, { path: 'f', line, content })).toEqual({
      path: 'f',
      inserted_at,
      total_lines,
      sha256: sha256(after),
    })
    expect(text('f')).toBe(after)
  })

  it('refuses what is not there, binary, or too large', async () => {
    await workspace.plant({ bin: Buffer.from([0]), large: 'x'.repeat(1_048_576) })
    for (const name of ['no', 'bin', 'large'])
      expect(await failure(insert, { path: name, line: 0, content: 'x' }), name).toMatchObject({ code: 'invalid_argument' })
    expect(insert.input.safeParse({ path: 'a', line: -1, content: 'x' }).success).toBe(false)
  })
})

describe('fs.glob', () => {
  beforeEach(
    async () =>
      await workspace.plant({
        'a.ts': '',
        'src/b.ts': '',
        'src/deep/c.ts': '',
        'src/deep/c.test.ts': '',
        'src/.hidden.ts': '',
        'out/d.ts': '',
        '.gitignore': 'out\n',
        '.git/x.ts': '',
        'sub/.git/x.ts': '',
        '!not.md': '',
      }),
  )

  it.each([
    ['*.ts', '.', ['a.ts']],
    ['**/*.ts', '.', ['a.ts', 'out/d.ts', 'src/.hidden.ts', 'src/b.ts', 'src/deep/c.test.ts', 'src/deep/c.ts']],
    ['**/c*.ts', 'src', ['src/deep/c.test.ts', 'src/deep/c.ts']],
    ['src/*/c.ts', '.', ['src/deep/c.ts']],
    ['{a,src/b}.ts', '.', ['a.ts', 'src/b.ts']],
    ['?.ts', './', ['a.ts']],
    ['!*.md', '.', ['!not.md']],
    ['*.py', '.', []],
  ])('%s in %s', async (pattern, where, matches) => {
    expect(await call(glob, { pattern, path: where })).toEqual({ matches, count: matches.length, truncated: false })
  })

  it('cuts, and says what is wrong', async () => {
    expect(await call(glob, { pattern: '**', max_files: 2 })).toMatchObject({ count: 2, truncated: true })
    expect(await failure(glob, { pattern: '{a' })).toMatchObject({ code: 'invalid_argument' })
    expect(await failure(glob, { pattern: '*', path: 'a.ts' })).toMatchObject({ code: 'invalid_argument' })
    expect(await failure(glob, { pattern: '*', path: 'no' })).toMatchObject({ code: 'not_found' })
    expect(glob.input.safeParse({ pattern: '/etc/*' }).success).toBe(false)
  })

  it('does not leave by a pattern or a link', async () => {
    symlinkSync(workspace.secretsInside, path('link'))
    symlinkSync('..', path('src/up'))
    for (const pattern of ['../**', '../../**', '**/../**', 'link/*', '**/passwd', `**/${SECRET.name}`, 'src/up/**'])
      expect(await call(glob, { pattern }), pattern).toMatchObject({ count: 0 })
    expect(await failure(glob, { pattern: '*', path: 'link' })).toMatchObject({
      code: expect.stringMatching(/policy_denied|invalid_argument/),
    })
  })
})

describe('what leaves the workspace', () => {
  const uses: [Tool, (path: string) => Record<string, unknown>][] = [
    [stat, (at) => ({ path: at })],
    [mkdir, (at) => ({ path: at })],
    [move, (at) => ({ source_path: 'a', destination_path: at })],
    [move, (at) => ({ source_path: at, destination_path: 'new' })],
    [copy, (at) => ({ source_path: 'a', destination_path: at })],
    [copy, (at) => ({ source_path: at, destination_path: 'new', recursive: true })],
    [remove, (at) => ({ path: at, recursive: true, force: true })],
    [readLines, (at) => ({ path: at })],
    [insert, (at) => ({ path: at, line: 0, content: 'x' })],
    [glob, (at) => ({ path: at, pattern: '*' })],
  ]

  it.each(['../x', '/etc/passwd', '/session/secrets', `/session/secrets/${SECRET.name}`, '/session', 'a/../../x'])(
    'is refused: %s',
    async (at) => {
      await workspace.plant({ a: 'a' })
      for (const [tool, args] of uses)
        expect(await failure(tool, args(at)), tool.metadata.name).toMatchObject({ code: 'policy_denied' })
      expect([text('a'), existsSync(path('new'))]).toEqual(['a', false])
    },
  )

  it('is refused through links', async () => {
    await workspace.plant({ a: 'a' })
    mkdirSync(path('../outside/in'), { recursive: true })
    symlinkSync('../outside', path('out'))
    symlinkSync(workspace.secretsInside, path('secrets'))
    for (const at of ['out/in', `secrets/${SECRET.name}`])
      for (const [tool, args] of uses)
        expect(await failure(tool, args(at)), `${tool.metadata.name} ${at}`).toMatchObject({ code: 'policy_denied' })
    expect([text('a'), existsSync(path('new')), lstatSync(path('../outside/in')).isDirectory()]).toEqual(['a', false, true])
  })

  it('is git: nothing is written there, or moved out of it', async () => {
    await workspace.plant({ a: 'a', '.git/config': '[core]\n' })
    const writers = uses.filter(([tool]) => ![stat, readLines, glob].includes(tool))
    for (const [tool, args] of writers) {
      if (tool === copy && args('x')['source_path'] === 'x') continue
      for (const at of ['.git/config', '.git/new', '.git']) {
        const error = await failure(tool, args(at))
        expect(['policy_denied', 'invalid_argument'], `${tool.metadata.name} ${at} ${error.message}`).toContain(error.code)
      }
    }
    expect([text('.git/config'), existsSync(path('.git/new'))]).toEqual(['[core]\n', false])
  })
})
