import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
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
import applyPatch from './apply_patch.ts'
import diff from './diff.ts'
import { openRepository } from './git-command.ts'
import { overridesFor } from './git-overrides.ts'
import { isRef } from './git-ref.ts'
import { pathspecs } from './git-scope.ts'
import log from './log.ts'
import show from './show.ts'
import status from './status.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())

const path = (name: string) => join(workspace.code, name)
const text = (name: string) => readFileSync(path(name), 'utf8')

/** Plain git on the test's machine, to set repositories up. */
function gitIn(cwd: string, ...args: string[]): string {
  const env = { PATH: process.env['PATH'] ?? '', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', HOME: '/nonexistent' }
  const settings = { 'user.name': 'Test', 'user.email': 'test@example.com', 'init.defaultBranch': 'main', 'safe.directory': '*' }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  return execFileSync('git', [...options, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] }).toString()
}

function git(...args: string[]): string {
  return gitIn(workspace.code, ...args)
}

beforeEach(async () => {
  await workspace.clear()
  await workspace.plant({ 'src/a.ts': 'one\ntwo\nthree\n', 'docs/b.md': 'b\n', 'run.sh*': '#!/bin/sh\n' })
  git('init', '-q')
  git('add', '-A')
  git('commit', '-q', '-m', 'first')
})

const call = async (tool: Tool, args: Record<string, unknown> = {}, options = {}) =>
  (await workspace.call(tool, args, options)).output
const failure = async (tool: Tool, args: Record<string, unknown> = {}, options = {}) =>
  await workspace.failure(tool, args, options)

const change = '--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n'
const newFile = (name: string, content = 'new') =>
  `diff --git a/${name} b/${name}\nnew file mode 100644\n--- /dev/null\n+++ b/${name}\n@@ -0,0 +1 @@\n+${content}\n`

describe('git.status', () => {
  it('shows what changed, short and long, and leaves the index alone', async () => {
    const clean = await call(status)
    expect(clean).toMatchObject({ status: '' })
    expect((clean['command'] as string[]).slice(0, 2)).toEqual(['git', '--no-pager'])
    await workspace.plant({ 'src/a.ts': 'changed\n', 'new é.txt': '' })
    const index = statSync(path('.git/index')).mtimeMs
    expect(await call(status)).toMatchObject({ status: ' M src/a.ts\n?? "new é.txt"\n' })
    expect(((await call(status, { short: false })) as { status: string }).status).toMatch(
      /On branch main.*modified: +src\/a\.ts/s,
    )
    expect(statSync(path('.git/index')).mtimeMs).toBe(index)
    expect(existsSync(path('.git/index.lock'))).toBe(false)
  })

  it('is limited to what the session may use', async () => {
    await workspace.plant({ 'src/a.ts': 'changed\n', 'docs/b.md': 'changed\n' })
    expect(await call(status, {}, { allowed_paths: ['src'] })).toMatchObject({ status: ' M src/a.ts\n' })
    expect(await failure(status, {}, { allowed_paths: [] })).toMatchObject({ code: 'policy_denied' })
  })
})

describe('git.diff', () => {
  it('shows the working tree, the index, or a commit', async () => {
    await workspace.plant({ 'src/a.ts': 'one\n2\nthree\n' })
    const patch = ((await call(diff)) as { diff: string }).diff
    expect(patch).toContain('--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n')
    expect(await call(diff, { staged: true })).toMatchObject({ diff: '' })
    git('add', '-A')
    expect(await call(diff)).toMatchObject({ diff: '' })
    for (const args of [{ staged: true }, { base: 'HEAD' }, { base: 'main' }, { base: 'HEAD', staged: true }])
      expect(await call(diff, args), JSON.stringify(args)).toMatchObject({ diff: patch })
  })

  it('is what git.apply_patch reads', async () => {
    await workspace.plant({ 'src/a.ts': 'one\n2\nthree\n' })
    const patch = ((await call(diff)) as { diff: string }).diff
    git('checkout', '-q', '--', '.')
    await call(applyPatch, { patch })
    expect(text('src/a.ts')).toBe('one\n2\nthree\n')
  })

  it('is limited by paths, literally, and by what the session may use', async () => {
    await workspace.plant({ 'src/a.ts': 'x\n', 'docs/b.md': 'x\n', 'src/[a].ts': 'x\n' })
    git('add', '-A')
    const files = async (args: object, options = {}) =>
      [...((await call(diff, { staged: true, ...args }, options)) as { diff: string }).diff.matchAll(/^\+\+\+ b\/(.*)$/gm)].map(
        (match) => match[1],
      )
    expect(await files({})).toEqual(['docs/b.md', 'src/[a].ts', 'src/a.ts'])
    expect(await files({ paths: ['docs'] })).toEqual(['docs/b.md'])
    expect(await files({ paths: ['src/[a].ts'] })).toEqual(['src/[a].ts'])
    expect(await files({ paths: ['*.md'] })).toEqual([])
    expect(await files({ paths: ['.'] })).toEqual(['docs/b.md', 'src/[a].ts', 'src/a.ts'])
    const limited = { allowed_paths: ['src'] }
    expect(await files({}, limited)).toEqual(['src/[a].ts', 'src/a.ts'])
    expect(await failure(diff, { paths: ['docs'] }, limited)).toMatchObject({ code: 'policy_denied' })
    expect(await failure(diff, { paths: ['.'] }, limited)).toMatchObject({ code: 'policy_denied' })
    expect(await failure(diff, { paths: ['../x'] })).toMatchObject({ code: 'policy_denied' })
    expect(await failure(diff, { paths: ['/session/data'] })).toMatchObject({ code: 'invalid_argument' })
    // Pathspec magic is a file's name, not magic.
    expect(await files({ paths: [':(exclude)src', ':/docs', ':!x'] })).toEqual([])
  })

  it('says which commit is not there', async () => {
    const wanted = { code: 'git_repo_error', message: expect.stringContaining('"nope"') }
    expect(await failure(diff, { base: 'nope' })).toMatchObject(wanted)
  })

  it.each([
    '--output=PLANT',
    '-OPLANT',
    '--ext-diff',
    '--no-index',
    'HEAD:src/a.ts',
    'HEAD..HEAD',
    'HEAD --output=PLANT',
    ':/first',
    '^HEAD',
    '@{-1',
    '',
  ])('takes no option, range or path for a ref: %j', async (base) => {
    await workspace.plant({ 'src/a.ts': 'x\n' })
    const given = base.replace('PLANT', path('planted'))
    if (given === '') expect(diff.input.safeParse({ base: given }).success).toBe(false)
    else
      expect(await failure(diff, { base: given })).toMatchObject({
        code: expect.stringMatching(/invalid_argument|git_repo_error/),
      })
    expect(existsSync(path('planted'))).toBe(false)
  })

  it('does not read through a directory that became a link', async () => {
    await workspace.plant({ [`dir/${SECRET.name}`]: 'tracked\n' })
    git('add', '-A')
    git('commit', '-q', '-m', 'second')
    rmSync(path('dir'), { recursive: true })
    symlinkSync(workspace.secretsInside, path('dir'))
    const shown = JSON.stringify([await call(diff), await call(status), await call(diff, { base: 'HEAD' })])
    expect(shown).not.toContain(SECRET.value)
    expect(shown).toContain('-tracked')
  })

  it('does not show what a link leads to', async () => {
    symlinkSync(join(workspace.secretsInside, SECRET.name), path('link'))
    git('add', '-A')
    symlinkSync(join(workspace.secretsInside, SECRET.name), path('.gitattributes'))
    symlinkSync(join(workspace.secretsInside, SECRET.name), path('.gitignore'))
    expect(JSON.stringify([await call(diff, { staged: true }), await call(status)])).not.toContain(SECRET.value)
  })
})

describe('git.apply_patch', () => {
  it('applies, checks, and tells what it changed', async () => {
    expect(await call(applyPatch, { patch: change, check: true })).toMatchObject({ applied: false, changed_paths: ['src/a.ts'] })
    expect(text('src/a.ts')).toBe('one\ntwo\nthree\n')
    expect(await call(applyPatch, { patch: change.trimEnd() })).toMatchObject({ applied: true, changed_paths: ['src/a.ts'] })
    expect(text('src/a.ts')).toBe('one\n2\nthree\n')
  })

  it('makes, deletes, renames, and changes modes', async () => {
    const patch = [
      newFile('deep/er/new.txt'),
      'diff --git a/docs/b.md b/docs/b.md\ndeleted file mode 100644\n--- a/docs/b.md\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n',
      'diff --git a/src/a.ts b/src/c.ts\nsimilarity index 100%\nrename from src/a.ts\nrename to src/c.ts\n',
      'diff --git a/run.sh b/run.sh\nold mode 100755\nnew mode 100644\n',
    ].join('')
    const changed_paths = ['deep/er/new.txt', 'docs/b.md', 'run.sh', 'src/a.ts', 'src/c.ts']
    expect(await call(applyPatch, { patch })).toMatchObject({ applied: true, changed_paths })
    expect(text('deep/er/new.txt')).toBe('new\n')
    expect([existsSync(path('docs/b.md')), existsSync(path('src/a.ts'))]).toEqual([false, false])
    expect([text('src/c.ts'), statSync(path('run.sh')).mode & 0o111]).toEqual(['one\ntwo\nthree\n', 0])
  })

  it('applies whole or not at all', async () => {
    const patch = `${change}--- a/docs/b.md\n+++ b/docs/b.md\n@@ -1 +1 @@\n-not there\n+x\n`
    const wanted = { code: 'execution_failed', message: expect.stringContaining('patch failed: docs/b.md:1') }
    expect(await failure(applyPatch, { patch })).toMatchObject(wanted)
    expect(git('status', '--porcelain')).toBe('')
  })

  it.each([
    ['out of the workspace', newFile('../planted')],
    ['deep out of the workspace', newFile('src/../../planted')],
    ['into .git', newFile('.git/hooks/pre-commit')],
    ['into a nested .git', newFile('sub/.git/config')],
    ['into .GIT', newFile('.GIT/config')],
    ['out by renaming', 'diff --git a/src/a.ts b/../planted\nrename from src/a.ts\nrename to ../planted\n'],
    ['into .git by copying', 'diff --git a/src/a.ts b/.git/planted\ncopy from src/a.ts\ncopy to .git/planted\n'],
    ['out in a second file', `${change}${newFile('../planted')}`],
    ['out in quotes', newFile('x').replaceAll('a/x', '"a/..\\057planted"').replaceAll('b/x', '"b/..\\057planted"')],
  ])('does not write %s', async (_, patch) => {
    const before = readFileSync(path('.git/config'), 'utf8')
    expect(await failure(applyPatch, { patch })).toMatchObject({ code: 'policy_denied' })
    for (const name of ['../planted', '.git/hooks/pre-commit', 'sub', '.GIT', '.git/planted'])
      expect(existsSync(path(name)), name).toBe(false)
    expect(readFileSync(path('.git/config'), 'utf8')).toBe(before)
    expect(git('status', '--porcelain')).toBe('')
  })

  it('does not leave the paths of the session, on either side', async () => {
    const limited = { allowed_paths: ['src'] }
    const patches = [
      'diff --git a/src/a.ts b/docs/a.ts\nrename from src/a.ts\nrename to docs/a.ts\n',
      'diff --git a/docs/b.md b/src/b.md\nrename from docs/b.md\nrename to src/b.md\n',
      'diff --git a/docs/b.md b/src/b.md\ncopy from docs/b.md\ncopy to src/b.md\n',
      'diff --git a/run.sh b/run.sh\nold mode 100755\nnew mode 100644\n',
      newFile('docs/new.md'),
    ]
    for (const patch of patches)
      expect(await failure(applyPatch, { patch }, limited), patch).toMatchObject({ code: 'policy_denied' })
    expect(git('status', '--porcelain')).toBe('')
    await call(applyPatch, { patch: change }, limited)
    expect(text('src/a.ts')).toContain('2')
  })

  it.each([
    [
      'a link',
      'diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n',
    ],
    [
      'a submodule',
      `diff --git a/l b/l\nnew file mode 160000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+Subproject commit ${'1'.repeat(40)}\n`,
    ],
    ['a setuid file', newFile('l').replace('100644', '104755')],
    ['a link by a mode change', 'diff --git a/src/a.ts b/src/a.ts\nold mode 100644\nnew mode 120000\n'],
  ])('makes no %s', async (_, patch) => {
    expect(await failure(applyPatch, { patch })).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('mode'),
    })
    expect(git('status', '--porcelain')).toBe('')
  })

  it('does not turn an existing link elsewhere, and does not write through one', async () => {
    mkdirSync(path('../outside'))
    writeFileSync(path('../outside/f'), 'x\n')
    symlinkSync('a.ts', path('src/link'))
    symlinkSync('../../outside', path('src/out'))
    symlinkSync('../docs', path('src/docs'))
    const retarget =
      '--- a/src/link\n+++ b/src/link\n@@ -1 +1 @@\n-a.ts\n\\ No newline at end of file\n+/etc/passwd\n\\ No newline at end of file\n'
    expect(await failure(applyPatch, { patch: retarget })).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('symbolic link'),
    })
    for (const patch of [
      newFile('src/out/planted'),
      '--- a/src/out/f\n+++ b/src/out/f\n@@ -1 +1 @@\n-x\n+planted\n',
      newFile('src/docs/planted'),
    ])
      expect(await failure(applyPatch, { patch }), patch).toMatchObject({
        code: expect.stringMatching(/policy_denied|execution_failed/),
      })
    expect([existsSync(path('../outside/planted')), readFileSync(path('../outside/f'), 'utf8')]).toEqual([false, 'x\n'])
    expect(existsSync(path('docs/planted'))).toBe(false)
    rmSync(path('../outside'), { recursive: true })
  })

  it.each([
    ['', 'too small'],
    ['please fix it', 'names no file'],
    ['--- a/x\n+++ b/x\n@@ -1,9 +1 @@\n-a\n', 'fewer lines'],
    [`--- src/a.ts\n+++ src/a.ts\n@@ -1 +1 @@\n-a\n+b\n`, 'prefix'],
  ])('says what is wrong with the patch %j', (patch, message) => {
    const parsed = applyPatch.input.safeParse({ patch })
    expect(parsed.success).toBe(false)
    expect(parsed.error?.issues[0]).toMatchObject({ path: ['patch'], message: expect.stringMatching(new RegExp(message, 'i')) })
  })
})

/** Every way in which a repository's own configuration starts a program that could be reached from these tools. */
const traps: Record<string, () => void> = {
  'core.fsmonitor': () => git('config', 'core.fsmonitor', evil()),
  'core.fsmonitor, query version 1': () => {
    git('config', 'core.fsmonitor', evil())
    git('config', 'core.fsmonitorHookVersion', '1')
  },
  'core.hooksPath': () => git('config', 'core.hooksPath', workspace.inside('hooks')),
  'hooks in .git': () => {
    for (const hook of HOOKS) {
      writeFileSync(path(`.git/hooks/${hook}`), text('evil.sh'))
      chmodSync(path(`.git/hooks/${hook}`), 0o755)
    }
  },
  'diff.external': () => git('config', 'diff.external', evil()),
  'a diff driver': () => driver('diff', 'diff.evil.command'),
  textconv: () => driver('diff', 'diff.evil.textconv'),
  'clean and smudge': () => driver('filter', 'filter.evil.clean', 'filter.evil.smudge'),
  'a filter process': () => {
    driver('filter', 'filter.evil.process')
    git('config', 'filter.evil.required', 'true')
  },
  'a filter with a strange name': () => {
    appendFileSync(path('.git/config'), `[filter "e=v.i l\\"x"]\n\tclean = ${evil()}\n\trequired = true\n`)
    // Attributes cannot name it; another section of the same name in another case can.
    driver('filter', 'FILTER.evil.CLEAN')
  },
  'a merge driver': () => driver('merge', 'merge.evil.driver'),
  'an included file': () => {
    writeFileSync(path('more'), `[filter "evil"]\n\tclean = ${evil()}\n[core]\n\tfsmonitor = ${evil()}\n`)
    git('config', 'include.path', '../more')
    attributes('filter')
  },
  'a file included for a branch': () => {
    writeFileSync(path('more'), `[filter "evil"]\n\tprocess = ${evil()}\n`)
    git('config', 'includeIf.onbranch:main.path', '../more')
    attributes('filter')
  },
  'configuration of a worktree': () => {
    git('config', 'extensions.worktreeConfig', 'true')
    writeFileSync(path('.git/config.worktree'), `[filter "evil"]\n\tclean = ${evil()}\n[core]\n\tfsmonitor = ${evil()}\n`)
    attributes('filter')
  },
  'pagers, editors, signing and transports': () => {
    for (const key of [
      'core.pager',
      'pager.diff',
      'pager.status',
      'core.editor',
      'gpg.program',
      'core.sshCommand',
      'core.askPass',
      'core.gitProxy',
    ])
      git('config', key, evil())
    git('config', 'alias.status', `!${evil()}`)
    git('config', 'alias.diff', `!${evil()}`)
    git('config', 'log.showSignature', 'true')
  },
  'a partial clone that fetches by a helper': () => {
    git('config', 'extensions.partialClone', 'evil')
    git('config', 'remote.evil.promisor', 'true')
    git('config', 'remote.evil.url', `ext::${evil()} %S`)
    git('config', 'protocol.ext.allow', 'always')
    git('config', 'core.repositoryFormatVersion', '1')
    const blob = git('rev-parse', 'HEAD:src/a.ts').trim()
    rmSync(path(`.git/objects/${blob.slice(0, 2)}/${blob.slice(2)}`))
  },
  'a submodule with a configuration of its own': () => {
    mkdirSync(path('sub'))
    gitIn(path('sub'), 'init', '-q')
    gitIn(path('sub'), 'commit', '-q', '--allow-empty', '-m', 'x')
    git('-c', 'advice.addEmbeddedRepo=false', 'add', 'sub')
    git('config', 'status.submoduleSummary', 'true')
    git('config', 'diff.submodule', 'diff')
    gitIn(path('sub'), 'config', 'core.fsmonitor', evil())
    gitIn(path('sub'), 'config', 'filter.evil.clean', evil())
    writeFileSync(path('sub/.gitattributes'), '* filter=evil\n')
  },
}

const HOOKS = [
  'post-index-change',
  'fsmonitor-watchman',
  'pre-commit',
  'post-checkout',
  'pre-applypatch',
  'applypatch-msg',
  'post-applypatch',
]

/** As the sandbox names it. */
const evil = () => workspace.inside('evil.sh')

function attributes(kind: string): void {
  writeFileSync(path('.gitattributes'), `* ${kind}=evil\n`)
}

function driver(kind: string, ...keys: string[]): void {
  attributes(kind)
  for (const key of keys) git('config', key, evil())
}

describe('a hostile repository', () => {
  const marker = () => path('../data/marker')

  async function spring(name: string): Promise<void> {
    await workspace.plant({ 'evil.sh*': `#!/bin/sh\necho ran "$0" "$@" >> '${workspace.inside('../data/marker')}'\ncat\n` })
    for (const hook of HOOKS) await workspace.plant({ [`hooks/${hook}*`]: text('evil.sh') })
    traps[name]?.()
    // Changed in the same second as the index, so that git has to look at contents.
    await workspace.plant({ 'src/a.ts': 'one\ntwo\nthree\nfour\n' })
    rmSync(marker(), { force: true })
  }

  it.each(Object.keys(traps))('starts nothing by %s', async (name) => {
    await spring(name)
    const outcomes: unknown[] = []
    const attempts: [Tool, Record<string, unknown>][] = [
      [status, {}],
      [status, { short: false }],
      [diff, {}],
      [diff, { staged: true }],
      [diff, { base: 'HEAD' }],
      [log, {}],
      [show, {}],
      [applyPatch, { patch: newFile('src/new.ts'), check: true }],
      [applyPatch, { patch: newFile('src/new.ts') }],
      [applyPatch, { patch: '--- a/docs/b.md\n+++ b/docs/b.md\n@@ -1 +1 @@\n-b\n+c\n' }],
    ]
    rmSync(marker(), { force: true })
    for (const [tool, args] of attempts) outcomes.push(await call(tool, args).catch((error: { code: string }) => error.code))
    expect(existsSync(marker()) ? readFileSync(marker(), 'utf8') : 'nothing ran').toBe('nothing ran')
    // And the tools do their work in spite of it, unless objects are missing.
    if (!name.startsWith('a partial clone')) {
      expect(outcomes.filter((outcome) => typeof outcome === 'string')).toEqual([])
      expect(text('src/new.ts')).toBe('new\n')
      expect(text('docs/b.md')).toBe('c\n')
    }
  })

  it('would start something without the defence, so that these are tests', async () => {
    for (const name of [
      'core.fsmonitor',
      'diff.external',
      'textconv',
      'clean and smudge',
      'an included file',
      'configuration of a worktree',
      'a submodule with a configuration of its own',
    ]) {
      await workspace.clear()
      await workspace.plant({ 'src/a.ts': 'one\ntwo\nthree\n', 'docs/b.md': 'b\n' })
      git('init', '-q')
      git('add', '-A')
      git('commit', '-q', '-m', 'first')
      await spring(name)
      const { sandbox } = workspace.context(status)
      // What the program prints is nonsense to git: the exit code does not matter.
      for (const command of ['status', 'diff']) await sandbox.run(['git', '-c', 'safe.directory=*', command])
      expect(existsSync(marker()), name).toBe(true)
    }
    rmSync(marker(), { force: true })
  })

  it('does not lead elsewhere by core.worktree', async () => {
    mkdirSync(path('../elsewhere/src'), { recursive: true })
    writeFileSync(path('../elsewhere/src/a.ts'), 'one\ntwo\nthree\nelsewhere\n')
    git('config', 'core.worktree', workspace.inside('../elsewhere'))
    expect(await call(status)).toMatchObject({ status: '' })
    expect(await call(diff)).toMatchObject({ diff: '' })
    await call(applyPatch, { patch: change })
    expect(text('src/a.ts')).toBe('one\n2\nthree\n')
    expect(readFileSync(path('../elsewhere/src/a.ts'), 'utf8')).toContain('elsewhere')
    rmSync(path('../elsewhere'), { recursive: true })
  })

  it('changes nothing about the form of a diff', async () => {
    for (const [key, value] of [
      ['diff.noprefix', 'true'],
      ['diff.mnemonicPrefix', 'true'],
      ['color.ui', 'always'],
      ['diff.context', '0'],
      ['diff.wordRegex', '.'],
      ['diff.orderFile', '/nonexistent'],
      ['core.quotePath', 'true'],
      ['status.branch', 'true'],
      ['status.short', 'true'],
      ['status.showUntrackedFiles', 'no'],
    ] as const)
      git('config', key, value)
    await workspace.plant({ 'src/a.ts': 'one\n2\nthree\n', neu: '' })
    expect(await call(diff)).toMatchObject({
      diff: expect.stringContaining('--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n'),
    })
    expect(await call(status)).toMatchObject({ status: ' M src/a.ts\n?? neu\n' })
  })

  it.each<[string, () => void]>([
    ['missing', () => rmSync(path('.git'), { recursive: true })],
    [
      'a file',
      () => {
        renameSync(path('.git'), path('../gitdir'))
        writeFileSync(path('.git'), `gitdir: ${workspace.inside('../gitdir')}\n`)
      },
    ],
    [
      'a link',
      () => {
        renameSync(path('.git'), path('../gitdir'))
        symlinkSync('../gitdir', path('.git'))
      },
    ],
    [
      'an empty directory',
      () => {
        rmSync(path('.git'), { recursive: true })
        mkdirSync(path('.git'))
      },
    ],
  ])('is refused when .git is %s', async (_, make) => {
    make()
    for (const [tool, args] of [
      [status, {}],
      [diff, {}],
      [diff, { paths: ['src/a.ts', 'docs/b.md'] }],
      [applyPatch, { patch: change }],
    ] as [Tool, object][])
      expect(await failure(tool, { ...args }), tool.metadata.name).toMatchObject({ code: 'git_repo_error', exitCode: 128 })
    expect(text('src/a.ts')).toBe('one\ntwo\nthree\n')
    rmSync(path('../gitdir'), { recursive: true, force: true })
  })

  it('gets no secret in its environment', async () => {
    const context = workspace.context(status)
    const seen: unknown[] = []
    const run = context.sandbox.run.bind(context.sandbox)
    const spying = {
      ...context,
      sandbox: Object.assign(Object.create(context.sandbox), {
        run: (...given: Parameters<typeof run>) => {
          seen.push(given[1])
          return run(...given)
        },
      }),
    }
    await status.handler({ short: true }, spying)
    expect(seen.length).toBeGreaterThan(2)
    for (const options of seen) expect(options).toMatchObject({ without_secrets: true })
  })
})

describe('the parts', () => {
  it('tells a command line that git does not understand from a repository that it cannot use', async () => {
    const repository = await openRepository(workspace.context(status))
    await expect(repository.run(['status', '--no-such-option'])).rejects.toMatchObject({
      code: 'git_usage_error',
      exitCode: 129,
      message: expect.stringContaining('no-such-option'),
    })
    await expect(repository.run(['log', 'nowhere', '--'])).rejects.toMatchObject({ code: 'git_repo_error', exitCode: 128 })
    await expect(repository.run(['diff', '--exit-code', 'HEAD~0'])).resolves.toMatchObject({ exit_code: 0 })
  })

  it.each(['HEAD', 'main', 'HEAD~2', 'v1.0^{commit}', 'feature/x', 'origin/main@{1}', 'a'.repeat(40)])('%s is a ref', (ref) => {
    expect(isRef(ref)).toBe(true)
  })

  it.each(['-x', '--output=x', 'a:b', 'a..b', 'a...b', ':/x', 'a b', 'a\nb', '', 'a//b', 'x'.repeat(257), '^a', '/a'])(
    '%j is none',
    (ref) => {
      expect(isRef(ref)).toBe(false)
    },
  )

  it('overrides whatever driver there is, and refuses too many', () => {
    const names = Object.values(
      overridesFor(['filter.a.b.clean', 'diff.x.textconv', 'user.name', 'merge.m.driver', 'filter.a=b.process']),
    )
    for (const name of ['filter.a.b.clean', 'diff.x.textconv', 'merge.m.driver', 'filter.a=b.process'])
      expect(names).toContain(name)
    expect(names).not.toContain('user.name')
    expect(() => overridesFor(Array.from({ length: 600 }, (_, n) => `filter.n${n}.clean`))).toThrow(/at most 512/)
  })

  it('makes pathspecs that are never empty', () => {
    expect(pathspecs(['.'])).toEqual([':(top)'])
    expect(pathspecs(['src', 'a/*'])).toEqual([':(top,literal)src', ':(top,literal)a/*'])
    expect(() => pathspecs(['/session/data'])).toThrow(/lies in the repository/)
  })
})
