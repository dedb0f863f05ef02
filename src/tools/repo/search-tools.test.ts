import { execFileSync } from 'node:child_process'
import { renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type CallOptions, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import changedFiles from './changed_files.ts'
import detectToolchain from './detect_toolchain.ts'
import findReferences from './find_references.ts'
import { looksDeclared } from './looks-declared.ts'
import symbolSearch from './symbol_search.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const call = async (tool: Tool, args: Record<string, unknown> = {}, options: CallOptions = {}) =>
  (await workspace.call(tool, args, options)).output
const code = async (tool: Tool, args: Record<string, unknown>, options: CallOptions = {}) =>
  (await workspace.failure(tool, args, options)).code

describe('repo.detect_toolchain', () => {
  it.each<[string[], string, string, string, boolean]>([
    [['go.mod'], 'go', 'go-mod', 'testing', true],
    [['Cargo.toml'], 'rust', 'cargo', 'cargo-test', true],
    [['package.json', 'tsconfig.json'], 'node', 'npm', 'npm-test', true],
    [['pyproject.toml'], 'python', 'pip', 'pytest', true],
    [['pom.xml'], 'java', 'maven', 'junit', true],
    [['build.gradle'], 'java', 'gradle', 'junit', true],
    [['CMakeLists.txt'], 'c', 'cmake', 'ctest', true],
    [['Makefile', 'a.c'], 'c', 'make', 'make-test', true],
    [['src/a.c'], 'c', 'cc', 'native', true],
    [['README.md'], 'unknown', 'unknown', 'unknown', false],
    [['Dockerfile'], 'unknown', 'unknown', 'unknown', true],
  ])('%j', async (names, language, build_system, test_framework, containerizable) => {
    await workspace.plant(Object.fromEntries(names.map((name) => [name, ''])))
    expect(await call(detectToolchain)).toEqual({ language, build_system, test_framework, containerizable })
  })

  it('looks at the whole repository or at nothing', async () => {
    expect(await code(detectToolchain, {}, { allowed_paths: ['src'] })).toBe('policy_denied')
    expect(detectToolchain.metadata).toMatchObject({ requires_approval: false, policy: { whole_repository: true } })
    expect(detectToolchain.input.safeParse({ path: '.' }).success).toBe(false)
  })
})

const SOURCES = {
  'src/a.ts': 'export function parse(x: string) {\n  return parse(x) + parse(x)\n}\n',
  'src/b.ts': "import { parse } from './a.ts'\nconst parser = parse('ä') // PARSE\n",
  'ignored/c.ts': 'parse()\n',
  '.gitignore': 'ignored\n',
  '.git/config': 'parse\n',
}

describe('repo.symbol_search', () => {
  const places = async (args: object, options = {}) =>
    (
      (await call(symbolSearch, { symbol: 'parse', ...args }, options))['matches'] as {
        path: string
        line: number
        column: number
      }[]
    ).map(({ path, line, column }) => `${path}:${line}:${column}`)

  it('finds each place, sorted', async () => {
    await workspace.plant(SOURCES)
    expect(await places({})).toEqual([
      'src/a.ts:1:17',
      'src/a.ts:2:10',
      'src/a.ts:2:21',
      'src/b.ts:1:10',
      'src/b.ts:2:7',
      'src/b.ts:2:16',
    ])
    expect(await places({ whole_word: true, path: 'src/b.ts' })).toEqual(['src/b.ts:1:10', 'src/b.ts:2:16'])
    expect(await places({ case_sensitive: false, path: 'src/b.ts' })).toContain('src/b.ts:2:30')
    expect(await places({ symbol: 'par.e\\(', use_regex: true, path: 'src/a.ts' })).toHaveLength(3)
    expect(await places({ symbol: 'par.e' })).toEqual([])
    expect(await call(symbolSearch, { symbol: '(x: string)' })).toEqual({
      symbol: '(x: string)',
      path: '.',
      matches_count: 1,
      truncated: false,
      matches: [{ path: 'src/a.ts', line: 1, column: 22, snippet: 'export function parse(x: string) {' }],
    })
    expect(await call(symbolSearch, { symbol: 'nothing at all' })).toMatchObject({ matches_count: 0, truncated: false })
  })

  it('keeps to its limit, and to what the session may use', async () => {
    await workspace.plant({ ...SOURCES, 'min.js': 'parse '.repeat(100_000) })
    expect(await call(symbolSearch, { symbol: 'parse', max_results: 2 })).toMatchObject({ matches_count: 2, truncated: true })
    expect(await call(symbolSearch, { symbol: 'parse', path: 'src', max_results: 6 })).toMatchObject({
      matches_count: 6,
      truncated: false,
    })
    expect(await places({ path: 'src' }, { allowed_paths: ['src'] })).toHaveLength(6)
    expect(await code(symbolSearch, { symbol: 'parse' }, { allowed_paths: ['src'] })).toBe('policy_denied')
  })

  it('takes no name for an option, and says what is wrong with a pattern', async () => {
    await workspace.plant({ a: '--pre=x\n' })
    expect(await places({ symbol: '--pre=x' })).toEqual(['a:1:1'])
    expect(await code(symbolSearch, { symbol: '(', use_regex: true })).toBe('invalid_argument')
    expect(await code(symbolSearch, { symbol: '(?=a)', use_regex: true })).toBe('invalid_argument')
  })
})

describe('repo.find_references', () => {
  it('tells declarations from uses', async () => {
    await workspace.plant(SOURCES)
    const output = await call(findReferences, { symbol: 'parse' })
    expect(output).toMatchObject({ symbol: 'parse', path: '.', references_count: 5, declaration_count: 1, truncated: false })
    expect((output['references'] as { is_declaration: boolean }[]).map((each) => each.is_declaration)).toEqual([
      true,
      false,
      false,
      false,
      false,
    ])
    const uses = await call(findReferences, { symbol: 'parse', include_declarations: false })
    expect(uses).toMatchObject({ references_count: 4, declaration_count: 1, truncated: false })
    expect(await call(findReferences, { symbol: 'PARSE', case_sensitive: false })).toMatchObject({ references_count: 6 })
    expect(await call(findReferences, { symbol: 'pars' })).toMatchObject({ references_count: 0 })
    expect(await call(findReferences, { symbol: 'par.e' })).toMatchObject({ references_count: 0 })
  })

  it('keeps to its limit by either name', async () => {
    await workspace.plant(SOURCES)
    for (const args of [{ max_references: 2 }, { max_results: 2 }, { max_references: 5, max_results: 2 }])
      expect(await call(findReferences, { symbol: 'parse', ...args })).toMatchObject({ references_count: 2, truncated: true })
  })

  it.each<[string, boolean]>([
    ['func NAME(a int) {', true],
    ['func (t *T) NAME() error {', true],
    ['  def NAME(self):', true],
    ['class NAME:', true],
    ['pub fn NAME<T>(a: T) {', true],
    ['#define NAME 3', true],
    ['const NAME = 1', true],
    ['let mut NAME = 1;', true],
    ['NAME = 3', true],
    ['x, NAME := f()', true],
    ['static char *NAME(int a) {', true],
    ['int NAME;', true],
    ['  private static int NAME = 3;', true],
    ['  async NAME(x) {', true],
    ['export type NAME = string', true],
    ['return NAME(a)', false],
    ['  NAME(a)', false],
    ['if (NAME(a)) {', false],
    ['x = NAME', false],
    ['new NAME(a);', false],
    ['import NAME from "x"', false],
    ['NAME == 3', false],
    ['foo.NAME = 3', false],
    ['await NAME;', false],
    ['// see NAME', false],
  ])('%j declares it: %s', (line, wanted) => {
    const [before = '', after = ''] = line.split('NAME')
    expect(looksDeclared(before, after)).toBe(wanted)
  })
})

describe.each([
  ['repo.symbol_search', symbolSearch],
  ['repo.find_references', findReferences],
])('%s', (_, tool) => {
  it('says what is wrong with a path', async () => {
    await workspace.plant({ 'dir/a': 'x' })
    symlinkSync('/etc', join(workspace.code, 'link'))
    symlinkSync('../secrets', join(workspace.code, 'secrets'))
    expect(await code(tool, { symbol: 'x', path: 'nowhere' })).toBe('not_found')
    expect(await code(tool, { symbol: 'x', path: 'link' })).toBe('invalid_argument')
    for (const path of ['link/passwd', 'secrets/API_TOKEN', '..', '/etc', '/session/secrets', 'a\0b'])
      expect(await code(tool, { symbol: 'x', path }), path).toBe('policy_denied')
    // Links below are not followed.
    const field = tool === symbolSearch ? 'matches_count' : 'references_count'
    expect(await call(tool, { symbol: 'root' })).toMatchObject({ [field]: 0 })
  })

  it.each([
    {},
    { symbol: '' },
    { symbol: 'x'.repeat(161) },
    { symbol: 'a\nb' },
    { symbol: 1 },
    { symbol: 'x', max_results: 0 },
    { symbol: 'x', max_results: 2001 },
    { symbol: 'x', case_sensitive: 'no' },
    { symbol: 'x', other: 1 },
  ])('refuses by its schema %j', (args) => {
    expect(tool.input.safeParse(args).success).toBe(false)
    expect(tool.metadata).toMatchObject({ requires_approval: false, policy: { paths: [{ field: 'path', access: 'read' }] } })
  })
})

describe('repo.changed_files', () => {
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'safe.directory=*', '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: workspace.code })

  async function repository(): Promise<void> {
    await workspace.plant({ 'a.txt': 'a\n'.repeat(20), 'src/b.txt': 'b\n'.repeat(20), 'gone.txt': 'x', 'both.txt': '1\n' })
    git('init', '-q', '-b', 'main')
    git('add', '.')
    git('commit', '-q', '-m', 'first')
  }

  it('lists what is staged, changed, deleted, renamed and new', async () => {
    await repository()
    await workspace.plant({ 'both.txt': '2\n', 'added.txt': 'x', 'new/ü "q".txt': 'x' })
    renameSync(join(workspace.code, 'src/b.txt'), join(workspace.code, 'src/c.txt'))
    git('add', 'src', 'both.txt', 'added.txt')
    await workspace.plant({ 'both.txt': '3\n' })
    rmSync(join(workspace.code, 'gone.txt'))
    const flags = { staged: false, unstaged: false, untracked: false, deleted: false }
    const output = await call(changedFiles)
    expect(output).toMatchObject({
      source: 'git',
      mode: 'working_tree',
      base_ref: null,
      path: '.',
      exit_code: 0,
      changed_count: 5,
    })
    expect(output['changed_files']).toEqual([
      { ...flags, path: 'added.txt', status: 'added', index_status: 'A', staged: true },
      { ...flags, path: 'both.txt', status: 'modified', index_status: 'M', worktree_status: 'M', staged: true, unstaged: true },
      { ...flags, path: 'gone.txt', status: 'deleted', worktree_status: 'D', unstaged: true, deleted: true },
      { ...flags, path: 'new/ü "q".txt', status: 'untracked', untracked: true },
      { ...flags, path: 'src/c.txt', status: 'renamed', index_status: 'R', staged: true, renamed_from: 'src/b.txt' },
    ])
    expect(output['summary']).toBe('5 files are changed: 1 added, 1 modified, 1 deleted, 1 untracked, 1 renamed.')
    const paths = async (args: object, options = {}) =>
      ((await call(changedFiles, { ...args }, options))['changed_files'] as { path: string }[]).map((file) => file.path)
    expect(await paths({ include_untracked: false })).toHaveLength(4)
    expect(await paths({ path: 'src' })).toEqual(['src/c.txt'])
    expect(await paths({}, { allowed_paths: ['new'] })).toEqual(['new/ü "q".txt'])
    expect(await call(changedFiles, { max_files: 2 })).toMatchObject({ changed_count: 5, changed_files: { length: 2 } })
  })

  it('lists what a branch has changed since it left its base', async () => {
    await repository()
    git('checkout', '-q', '-b', 'work')
    await workspace.plant({ 'src/new.txt': 'entirely new', 'a.txt': 'changed\n' })
    git('mv', 'src/b.txt', 'src/c.txt')
    git('rm', '-q', 'gone.txt')
    git('add', '.')
    git('commit', '-q', '-m', 'second')
    git('checkout', '-q', 'main')
    await workspace.plant({ 'main.txt': 'x' })
    git('add', '.')
    git('commit', '-q', '-m', 'third')
    git('checkout', '-q', 'work')
    await workspace.plant({ 'loose.txt': 'x' })
    const output = await call(changedFiles, { base_ref: 'main' })
    expect(output).toMatchObject({ mode: 'base_ref_diff', base_ref: 'main', changed_count: 4 })
    expect(output['changed_files']).toMatchObject([
      { path: 'a.txt', status: 'modified' },
      { path: 'gone.txt', status: 'deleted', deleted: true },
      { path: 'src/c.txt', status: 'renamed', renamed_from: 'src/b.txt' },
      { path: 'src/new.txt', status: 'added' },
    ])
    expect(await call(changedFiles, { base_ref: 'HEAD' })).toMatchObject({ changed_count: 0, summary: 'No file is changed.' })
    expect(await code(changedFiles, { base_ref: 'nothing' })).toBe('git_repo_error')
    for (const base_ref of ['--output=x', 'main:a', 'main..work', '-x'])
      expect(await code(changedFiles, { base_ref }), base_ref).toBe('invalid_argument')
    expect(changedFiles.metadata.policy.refs).toEqual(['base_ref'])
  })

  it('reads what it is given', async () => {
    const output =
      ' M src/a.ts\nR  old.ts -> new.ts\n?? "with blank.ts"\nM\tnamed.ts\nR100\tfrom.ts\tto.ts\nUU both.ts\nhello world\n\n'
    const files = await call(changedFiles, { output })
    expect(files).toMatchObject({
      source: 'provided_output',
      mode: 'provided_output',
      command: [],
      exit_code: null,
      changed_count: 6,
    })
    expect(files['changed_files']).toMatchObject([
      { path: 'both.ts', status: 'unmerged' },
      { path: 'named.ts', status: 'modified' },
      { path: 'new.ts', status: 'renamed', renamed_from: 'old.ts' },
      { path: 'src/a.ts', status: 'modified', worktree_status: 'M', unstaged: true, staged: false },
      { path: 'to.ts', status: 'renamed', renamed_from: 'from.ts' },
      { path: 'with blank.ts', untracked: true },
    ])
    expect(await call(changedFiles, { output, path: 'src' })).toMatchObject({ changed_count: 1 })
    expect(await call(changedFiles, { output: '' })).toMatchObject({ changed_count: 0 })
  })

  it('says what is wrong', async () => {
    expect(await code(changedFiles, {})).toBe('git_repo_error')
    await repository()
    for (const path of ['..', '/etc', '/session/secrets']) expect(await code(changedFiles, { path }), path).toBe('policy_denied')
    expect(await code(changedFiles, { path: '/session/data' })).toBe('invalid_argument')
    expect(await code(changedFiles, { path: 'src' }, { allowed_paths: ['test'] })).toBe('policy_denied')
    symlinkSync('/etc', join(workspace.code, 'link'))
    // Git takes a link for what it is.
    expect(await call(changedFiles, { path: 'link' })).toMatchObject({ changed_files: [{ path: 'link', status: 'untracked' }] })
    expect(await call(changedFiles, { path: 'src/nowhere' })).toMatchObject({ changed_count: 0 })
    // Git refuses to look beyond a link.
    expect(
      (await workspace.call(changedFiles, { path: 'link/passwd' }).catch((error: unknown) => error)) as object,
    ).not.toMatchObject({
      output: { changed_files: [{}] },
    })
  })

  it.each([
    { base_ref: '' },
    { base_ref: 'x'.repeat(121) },
    { base_ref: 1 },
    { max_files: 0 },
    { max_files: 2001 },
    { include_untracked: 'no' },
    { output: 'x'.repeat(1024 * 1024 + 1) },
    { other: 1 },
  ])('refuses by its schema', (args) => {
    expect(changedFiles.input.safeParse(args).success).toBe(false)
    expect(changedFiles.metadata).toMatchObject({ requires_approval: false })
  })
})
