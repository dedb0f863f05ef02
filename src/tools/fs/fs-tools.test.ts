import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import edit from './edit.ts'
import list from './list.ts'
import read from './read.ts'
import search from './search.ts'
import write from './write.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const call = async (tool: Tool, args: Record<string, unknown>, options = {}) => (await workspace.call(tool, args, options)).output
const failure = async (tool: Tool, args: Record<string, unknown>, options = {}) => await workspace.failure(tool, args, options)

describe('fs.list', () => {
  it('lists a directory, sorted, with modes and times', async () => {
    await workspace.plant({ 'b.txt': 'bb', 'a/x.txt': 'x', 'run.sh*': '#!', '.git/config': '' })
    const { entries, count, truncated } = (await call(list, {})) as {
      entries: Record<string, unknown>[]
      count: number
      truncated: boolean
    }
    expect({ count, truncated }).toEqual({ count: 3, truncated: false })
    expect(entries.map(({ path, type, mode }) => [path, type, mode])).toEqual([
      ['a', 'dir', '0755'],
      ['b.txt', 'file', '0644'],
      ['run.sh', 'file', '0755'],
    ])
    expect(entries[1]).toMatchObject({ size_bytes: 2, modified_at: statSync(join(workspace.code, 'b.txt')).mtime.toISOString() })
  })

  it('goes down when asked, without following links, and into .git only by name', async () => {
    await workspace.plant({ 'a/b/c.txt': '', '.git/HEAD': '', 'a/.git/HEAD': '' })
    symlinkSync('..', join(workspace.code, 'a/up'))
    const paths = async (args: object) =>
      ((await call(list, { recursive: true, ...args })) as { entries: { path: string }[] }).entries.map((entry) => entry.path)
    expect(await paths({})).toEqual(['a', 'a/b', 'a/b/c.txt', 'a/up'])
    expect(await paths({ path: '.git' })).toEqual(['.git/HEAD'])
    expect(await paths({ path: '/session/code/a/b' })).toEqual(['a/b/c.txt'])
  })

  it('cuts at max_entries and says so', async () => {
    await workspace.plant({ a: '', b: '', c: '' })
    expect(await call(list, { max_entries: 2 })).toMatchObject({ count: 2, truncated: true })
    expect(await call(list, { max_entries: 3 })).toMatchObject({ count: 3, truncated: false })
  })

  it('shows /session/data by its absolute path', async () => {
    await call(write, { path: '/session/data/kept.txt', content: 'x' })
    const { entries } = (await call(list, { path: '/session/data' })) as { entries: { path: string }[] }
    expect(entries.map((entry) => entry.path)).toContain('/session/data/kept.txt')
  })

  it('says what is wrong with a path', async () => {
    await workspace.plant({ file: '' })
    expect(await failure(list, { path: 'nowhere' })).toMatchObject({ code: 'not_found' })
    expect(await failure(list, { path: 'file' })).toMatchObject({ code: 'invalid_argument' })
  })
})

describe('fs.read', () => {
  it('reads text', async () => {
    await workspace.plant({ 'a.txt': 'héllo\n' })
    expect(await call(read, { path: './a.txt' })).toEqual({
      path: 'a.txt',
      encoding: 'utf8',
      content: 'héllo\n',
      size_bytes: 7,
      total_bytes: 7,
      truncated: false,
    })
  })

  it.each([
    [1, '', 0],
    [2, 'é', 2],
    [5, 'é€', 5],
    [8, 'é€', 5],
    [9, 'é€😀', 9],
  ])('cut at %i bytes ends with a whole character', async (max_bytes, content, size_bytes) => {
    await workspace.plant({ 'a.txt': 'é€😀!' })
    const wanted = { encoding: 'utf8', content, size_bytes, total_bytes: 10, truncated: true }
    expect(await call(read, { path: 'a.txt', max_bytes })).toMatchObject(wanted)
  })

  it.each([
    ['a NUL byte', Buffer.from([0x61, 0, 0x62])],
    ['Latin-1', Buffer.from([0x68, 0xe9, 0x6c])],
    ['a character cut off at the very end', Buffer.from([0x61, 0xe2, 0x82])],
  ])('gives %s as base64', async (_, bytes) => {
    await workspace.plant({ 'a.bin': bytes })
    const wanted = { encoding: 'base64', content: bytes.toString('base64'), size_bytes: 3, total_bytes: 3, truncated: false }
    expect(await call(read, { path: 'a.bin' })).toMatchObject(wanted)
  })

  it('reads empty and large files', async () => {
    await workspace.plant({ empty: '', large: 'x'.repeat(1_100_000) })
    expect(await call(read, { path: 'empty' })).toMatchObject({ content: '', encoding: 'utf8', truncated: false })
    const wanted = { size_bytes: 1_048_576, total_bytes: 1_100_000, truncated: true }
    expect(await call(read, { path: 'large', max_bytes: 1_048_576 })).toMatchObject(wanted)
  })

  it('says what is wrong with a path', async () => {
    await workspace.plant({ 'dir/file': '' })
    expect(await failure(read, { path: 'nowhere' })).toMatchObject({ code: 'not_found' })
    expect(await failure(read, { path: 'dir' })).toMatchObject({ code: 'invalid_argument' })
    expect(await failure(read, { path: 'dir/file/x' })).toMatchObject({
      code: expect.stringMatching(/not_found|invalid_argument/),
    })
  })
})

describe('fs.write', () => {
  it('makes a file with its directories, and replaces one, keeping its mode', async () => {
    expect(await call(write, { path: 'notes/demo.txt', content: 'hola' })).toEqual({
      path: 'notes/demo.txt',
      bytes_written: 4,
      sha256: sha256('hola'),
    })
    chmodSync(join(workspace.code, 'notes/demo.txt'), 0o755)
    await call(write, { path: 'notes/demo.txt', content: '' })
    const file = join(workspace.code, 'notes/demo.txt')
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['', 0o755])
  })

  it('writes bytes from base64', async () => {
    await call(write, { path: 'a.bin', content: Buffer.from([0, 255, 1]).toString('base64'), encoding: 'base64' })
    expect(readFileSync(join(workspace.code, 'a.bin'))).toEqual(Buffer.from([0, 255, 1]))
  })

  it.each(['%%%', 'YQ', 'YQ=a', 'a b='])('refuses bad base64 %j', async (content) => {
    const wanted = { code: 'invalid_argument', message: expect.stringContaining('base64') }
    expect(await failure(write, { path: 'a', content, encoding: 'base64' })).toMatchObject(wanted)
    expect(existsSync(join(workspace.code, 'a'))).toBe(false)
  })

  it('writes 1 MiB and not a byte more', async () => {
    await call(write, { path: 'a', content: 'x'.repeat(1_048_576) })
    expect(statSync(join(workspace.code, 'a')).size).toBe(1_048_576)
    const wanted = { code: 'invalid_argument', message: expect.stringContaining('1048577 bytes') }
    expect(await failure(write, { path: 'b', content: 'x'.repeat(1_048_577) })).toMatchObject(wanted)
  })

  it('needs the parents when it may not make them', async () => {
    expect(await failure(write, { path: 'no/such/dir', content: '', create_parents: false })).toMatchObject({ code: 'not_found' })
    mkdirSync(join(workspace.code, 'dir'))
    expect(await failure(write, { path: 'dir', content: '' })).toMatchObject({ code: 'invalid_argument' })
  })
})

describe('fs.edit', () => {
  const text = 'one\n  two\nthree two\n'
  beforeEach(async () => await workspace.plant({ 'a.txt': text }))
  const content = () => readFileSync(join(workspace.code, 'a.txt'), 'utf8')

  it('replaces what is there once', async () => {
    const wanted = 'one\n  2 $& $1\nthree two\n'
    const edited = await call(edit, { path: 'a.txt', old_string: '  two', new_string: '  2 $& $1' })
    expect(edited).toEqual({ path: 'a.txt', replacements: 1, sha256: sha256(wanted) })
    expect(content()).toBe(wanted)
  })

  it('replaces all when asked', async () => {
    expect(await call(edit, { path: 'a.txt', old_string: 'two', new_string: '', replace_all: true })).toMatchObject({
      replacements: 2,
    })
    expect(content()).toBe('one\n  \nthree \n')
  })

  it.each([
    [{ old_string: 'two', new_string: '2' }, '2 matches for old_string in a.txt; give more context or set replace_all'],
    [{ old_string: 'two', new_string: 'two' }, 'equal'],
    [{ old_string: 'four', new_string: '4' }, 'not found in a.txt'],
    [{ old_string: 'one\ntwo', new_string: '4' }, 'only in white space (see line 1)'],
    [{ old_string: 'one\nzwei', new_string: '4' }, 'first line stands at line 1'],
  ])('refuses %j', async (args, message) => {
    expect(await failure(edit, { path: 'a.txt', ...args })).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining(message),
    })
    expect(content()).toBe(text)
  })

  it('tells about CRLF, overlaps, binary and large files', async () => {
    await workspace.plant({ crlf: 'a\r\nb\r\n', aaa: 'aaa', bin: Buffer.from([0, 1, 97]), large: 'a'.repeat(1_048_577) })
    const message = async (path: string, old_string: string) =>
      (await failure(edit, { path, old_string, new_string: 'z' })).message
    expect(await message('crlf', 'a\nb')).toContain('CRLF')
    expect(await message('aaa', 'aa')).toContain('2 matches')
    expect(await message('bin', 'a')).toContain('not UTF-8')
    expect(await message('large', 'a')).toContain('cannot be edited')
    expect(await failure(edit, { path: 'nowhere', old_string: 'a', new_string: 'b' })).toMatchObject({ code: 'not_found' })
  })

  it('does not overwrite a file that changed since it was read', async () => {
    const context = workspace.context(edit)
    const { sandbox } = context
    const args = edit.input.parse({ path: 'a.txt', old_string: 'one', new_string: '1' })
    const racing: typeof context = {
      ...context,
      sandbox: {
        ...bind(sandbox),
        read: async (...given) => {
          const before = await sandbox.read(...given)
          writeFileSync(join(workspace.code, 'a.txt'), 'somebody else was here')
          return before
        },
      },
    }
    await expect(edit.handler(args, racing)).rejects.toMatchObject({ code: 'execution_failed' })
    expect(content()).toBe('somebody else was here')
  })
})

function bind<T extends object>(object: T): T {
  return new Proxy({} as T, {
    get: (_, name) => (object[name as keyof T] as () => unknown).bind(object),
    ownKeys: () => [...Reflect.ownKeys(Object.getPrototypeOf(object))],
    getOwnPropertyDescriptor: (_, name) => ({
      enumerable: true,
      configurable: true,
      value: (object[name as keyof T] as () => unknown)?.bind?.(object),
    }),
  })
}

describe('fs.search', () => {
  it('finds lines, sorted by path, in hidden files too', async () => {
    await workspace.plant({ 'b.txt': 'x\nneedle 1\n', 'a/.hidden': 'needle 2', 'a/z.txt': 'none' })
    expect(await call(search, { pattern: 'needle \\d' })).toEqual({
      matches: [
        { path: 'a/.hidden', line: 1, snippet: 'needle 2' },
        { path: 'b.txt', line: 2, snippet: 'needle 1' },
      ],
      count: 2,
      truncated: false,
    })
  })

  it('skips .git, binaries and what .gitignore names, unless told otherwise', async () => {
    await workspace.plant({
      '.gitignore': 'out/\n',
      'out/a': 'needle',
      '.git/config': 'needle',
      'sub/.git/x': 'needle',
      bin: 'needle\0\0needle\n',
    })
    const paths = async (args: object) =>
      ((await call(search, { pattern: 'needle', ...args })) as { matches: { path: string }[] }).matches.map((match) => match.path)
    expect((await paths({})).filter((path) => path !== 'bin')).toEqual([])
    expect((await paths({ include_ignored: true })).filter((path) => path !== 'bin')).toEqual(['out/a'])
    expect(await paths({ path: '.git' })).toEqual(['.git/config'])
  })

  it('shows of a long line no piece of a secret that lies over an end of what is shown', async () => {
    const pieces = (snippet: string) => snippet.replaceAll('[secret:API_TOKEN]', '').replace(/^…|…$/g, '')
    // Each place that the window can have in relation to the value, on either side.
    const lines = Array.from({ length: 60 }, (_, n) => {
      const before = `${'x'.repeat(900)}${SECRET.value}${'x'.repeat(170 + n)}`
      return `${before}needle${'x'.repeat(550 + n)}${SECRET.value}${'x'.repeat(900)}`
    })
    await workspace.plant({ 'long.txt': lines.join('\n') })
    const { matches } = (await call(search, { pattern: 'needle' })) as { matches: { snippet: string }[] }
    expect(matches).toHaveLength(60)
    for (const { snippet } of matches) expect(pieces(snippet)).toMatch(/^x+needlex+$/)
    expect(matches.filter(({ snippet }) => snippet.includes('[secret:API_TOKEN]')).length).toBeGreaterThan(10)
  })

  it('searches a subdirectory under the .gitignore of the root, one file, and /session/data', async () => {
    await workspace.plant({ '.gitignore': '*.log', 'src/a.log': 'needle', 'src/a.ts': 'needle' })
    await call(write, { path: '/session/data/d.txt', content: 'needle' })
    expect(await call(search, { pattern: 'needle', path: 'src' })).toMatchObject({ matches: [{ path: 'src/a.ts' }], count: 1 })
    expect(await call(search, { pattern: 'needle', path: 'src/a.ts' })).toMatchObject({ matches: [{ path: 'src/a.ts' }] })
    expect(await call(search, { pattern: 'needle', path: '/session/data' })).toMatchObject({
      matches: [{ path: '/session/data/d.txt' }],
    })
  })

  it('finds nothing with success', async () => {
    expect(await call(search, { pattern: 'nothing at all' })).toEqual({ matches: [], count: 0, truncated: false })
  })

  it('cuts at max_results, and long lines around the match', async () => {
    await workspace.plant({ a: 'x\n'.repeat(20), long: `${'é'.repeat(2000)}needle${'b'.repeat(2000)}` })
    expect(await call(search, { pattern: 'x', max_results: 3, path: 'a' })).toMatchObject({ count: 3, truncated: true })
    expect(await call(search, { pattern: 'x', max_results: 20, path: 'a' })).toMatchObject({ count: 20, truncated: false })
    const { matches } = (await call(search, { pattern: 'needle' })) as { matches: { snippet: string }[] }
    expect(matches[0]?.snippet).toMatch(/^…é+needleb+…$/)
    expect(matches[0]?.snippet.length).toBeLessThan(810)
  })

  it('stops ripgrep when it says too much, with what came before', async () => {
    const line = `needle ${'x'.repeat(9_000)}\n`
    await workspace.plant({ a: line.repeat(1500), b: line.repeat(300) })
    const { count, truncated } = (await call(search, { pattern: 'needle', max_results: 2000 })) as {
      count: number
      truncated: boolean
    }
    expect(truncated).toBe(true)
    expect(count).toBeGreaterThan(100)
  })

  it.each(['(', '[a', 'a{2', '(?<=x)y', '\\'])('refuses the pattern %j', async (pattern) => {
    expect(await failure(search, { pattern })).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('regex'),
    })
  })

  it.each(['--files', '--pre=/bin/sh', '-f/etc/passwd', '--', '-uuu'])(
    'takes %j for a pattern and a path, not for an option',
    async (text) => {
      await workspace.plant({ 'a.txt': `x ${text} y`, [text.replaceAll('/', '_')]: 'found by path' })
      expect(await call(search, { pattern: text })).toMatchObject({ matches: [{ path: 'a.txt', line: 1 }] })
      expect(await call(search, { pattern: 'found', path: text.replaceAll('/', '_') })).toMatchObject({ count: 1 })
    },
  )

  it('runs no preprocessor and reads no configuration of ripgrep that the workspace brings', async () => {
    await workspace.plant({ '.ripgreprc': '--pre=/bin/false', '.ignore': 'a.txt', 'a.txt': 'needle' })
    expect(await call(search, { pattern: 'needle' })).toMatchObject({ count: 1 })
  })

  it('shows only what the session may use', async () => {
    await workspace.plant({ 'src/a': 'needle', 'other/b': 'needle' })
    const limited = { allowed_paths: ['src'] }
    expect(await call(search, { pattern: 'needle', path: 'src' }, limited)).toMatchObject({ matches: [{ path: 'src/a' }] })
    expect(await failure(search, { pattern: 'needle', path: 'other' }, limited)).toMatchObject({ code: 'policy_denied' })
    expect(await failure(search, { pattern: 'needle' }, limited)).toMatchObject({ code: 'policy_denied' })
  })

  it('says that a path is not there', async () => {
    expect(await failure(search, { pattern: 'x', path: 'nowhere' })).toMatchObject({ code: 'not_found' })
  })
})

describe('what leaves the workspace', () => {
  const reads: [Tool, (path: string) => Record<string, unknown>][] = [
    [list, (path) => ({ path })],
    [read, (path) => ({ path })],
    [search, (path) => ({ path, pattern: '.' })],
  ]
  const writes: [Tool, (path: string) => Record<string, unknown>][] = [
    [write, (path) => ({ path, content: 'planted' })],
    [edit, (path) => ({ path, old_string: 'root', new_string: 'planted' })],
  ]

  it.each([
    '../x',
    '../../etc/passwd',
    '/etc/passwd',
    '/session/secrets',
    `/session/secrets/${SECRET.name}`,
    'a/../../x',
    '/session/code/../secrets',
    '/',
    '/session',
    'a\0b',
    '/session/codex',
  ])('is refused lexically: %j', async (path) => {
    for (const [tool, args] of [...reads, ...writes])
      expect(await failure(tool, args(path)), tool.metadata.name).toMatchObject({
        code: 'policy_denied',
        details: { rule: 'path_scope' },
      })
  })

  it('is refused through symbolic links, and nothing outside changes', async () => {
    const passwd = readFileSync('/etc/passwd', 'utf8')
    const links = {
      file: '/etc/passwd',
      dir: '/etc',
      secrets: workspace.secretsInside,
      up: '../..',
      'rel/up': '../../../../../../../../../..',
    }
    mkdirSync(join(workspace.code, 'rel'))
    for (const [name, target] of Object.entries(links)) symlinkSync(target, join(workspace.code, name))
    for (const path of ['dir/passwd', `secrets/${SECRET.name}`, 'up/x', 'rel/up/etc/passwd']) {
      for (const [tool, args] of [...reads, ...writes])
        expect(await failure(tool, args(path)), `${tool.metadata.name} ${path}`).toMatchObject({
          // Of what is not there, host may say just that.
          code: path === 'up/x' ? expect.stringMatching(/policy_denied|not_found/) : 'policy_denied',
        })
    }
    expect(await failure(read, { path: 'file' })).toMatchObject({ code: 'policy_denied' })
    for (const path of ['file', 'dir', 'secrets'])
      expect(await failure(search, { path, pattern: '.' })).toMatchObject({
        code: expect.stringMatching(/policy_denied|invalid_argument/),
      })
    // What stood there before: a link is replaced, not written through; or the call is refused.
    await workspace.call(write, { path: 'file', content: 'planted' }).catch(() => undefined)
    expect(readFileSync('/etc/passwd', 'utf8')).toBe(passwd)
  })

  it('is not found by searching around links', async () => {
    await workspace.plant({ 'a.txt': 'nothing' })
    symlinkSync(workspace.secretsInside, join(workspace.code, 'secrets'))
    symlinkSync(join(workspace.secretsInside, SECRET.name), join(workspace.code, 'token'))
    expect(await call(search, { pattern: SECRET.value })).toMatchObject({ count: 0 })
    const { entries } = (await call(list, { recursive: true })) as { entries: { path: string; type: string }[] }
    expect(entries.map(({ path, type }) => [path, type])).toEqual([
      ['a.txt', 'file'],
      ['secrets', 'symlink'],
      ['token', 'symlink'],
    ])
  })

  it('is not found by searching while a directory is a link, after it was looked at and before it is looked at again', async () => {
    await workspace.plant({ [`dir/${SECRET.name}`]: 'harmless\n' })
    const context = workspace.context(search)
    const { sandbox } = context
    let found = ''
    const swapping: typeof context = {
      ...context,
      sandbox: {
        ...bind(sandbox),
        run: async (argv, options) => {
          renameSync(join(workspace.code, 'dir'), join(workspace.code, 'aside'))
          symlinkSync(workspace.secretsInside, join(workspace.code, 'dir'))
          const result = await sandbox.run(argv, options)
          found = result.stdout
          rmSync(join(workspace.code, 'dir'))
          renameSync(join(workspace.code, 'aside'), join(workspace.code, 'dir'))
          return result
        },
      },
    }
    const { output } = await search.handler(search.input.parse({ pattern: '.', path: `dir/${SECRET.name}` }), swapping)
    // The attack works on ripgrep, and not on what is shown.
    expect(found).toContain(SECRET.value)
    expect(output).toEqual({ matches: [], count: 0, truncated: false })
  })

  it.each(['.git/config', 'sub/.git/hooks/pre-commit', '.git', '.GIT/config'])(
    'is git: nothing is written to %s',
    async (path) => {
      await workspace.plant({ '.git/config': '[core]\n', 'sub/.git/hooks/x': 'root' })
      for (const [tool, args] of writes) {
        const error = await failure(tool, args(path))
        expect(['policy_denied', 'not_found', 'invalid_argument'], `${tool.metadata.name} ${error.message}`).toContain(error.code)
      }
      expect(readFileSync(join(workspace.code, '.git/config'), 'utf8')).toBe('[core]\n')
      expect(existsSync(join(workspace.code, 'sub/.git/hooks/pre-commit'))).toBe(false)
      expect(existsSync(join(workspace.code, '.GIT'))).toBe(false)
    },
  )

  it('is git, also through a link to it', async () => {
    await workspace.plant({ '.git/config': '[core]\n' })
    symlinkSync('.git', join(workspace.code, 'innocent'))
    expect(await failure(write, { path: 'innocent/hooks/pre-commit', content: 'x' })).toMatchObject({ code: 'policy_denied' })
    expect(lstatSync(join(workspace.code, '.git/config')).size).toBe(7)
    expect(existsSync(join(workspace.code, '.git/hooks'))).toBe(false)
  })
})

describe('wrong arguments', () => {
  it.each<[Tool, Record<string, unknown>]>([
    [list, { path: 1 }],
    [list, { max_entries: 0 }],
    [list, { max_entries: 1001 }],
    [list, { max_entries: 1.5 }],
    [list, { recursive: 'yes' }],
    [list, { unknown: true }],
    [read, {}],
    [read, { path: '' }],
    [read, { path: 'a', max_bytes: 1_048_577 }],
    [write, { path: 'a' }],
    [write, { path: 'a', content: 'x', encoding: 'latin1' }],
    [edit, { path: 'a', old_string: '', new_string: 'x' }],
    [search, { pattern: '' }],
    [search, { pattern: 'x', max_results: 2001 }],
  ])('are refused by the schema', (tool, args) => {
    expect(tool.input.safeParse(args).success).toBe(false)
  })
})
