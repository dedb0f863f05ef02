import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import log from './log.ts'
import show from './show.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
  await workspace.plant({ 'src/a.ts': 'one\n', 'docs/b.md': 'b\n' })
  git('init', '-q')
  commit('first')
  await workspace.plant({ 'src/a.ts': 'two\n' })
  commit('second é\n\nwith a body\n')
  git('checkout', '-q', '-b', 'side')
  await workspace.plant({ 'docs/b.md': 'c\n' })
  commit('only docs')
  git('checkout', '-q', 'main')
  await workspace.plant({ 'src/new.ts': 'new\n' })
  commit('third')
  git('merge', '-q', '--no-ff', '-m', 'merged', 'side')
})
afterAll(async () => await workspace?.stop())

function git(...args: string[]): string {
  const settings = {
    'user.name': 'Ada\u0001 B',
    'user.email': 'ada@example.com',
    'init.defaultBranch': 'main',
    'safe.directory': '*',
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  const env = { PATH: process.env['PATH'] ?? '', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
  return execFileSync('git', [...options, ...args], { cwd: workspace.code, env, stdio: ['ignore', 'pipe', 'pipe'] }).toString()
}

function commit(message: string): void {
  git('add', '-A')
  git('commit', '-q', '-m', message)
}

const call = async (tool: Tool, args: Record<string, unknown> = {}, options = {}) =>
  (await workspace.call(tool, args, options)).output
const subjects = async (args: object, options = {}) =>
  ((await call(log, { ...args }, options)) as { entries: { subject: string }[] }).entries.map((entry) => entry.subject)

describe('git.log', () => {
  it('lists commits with what is known of them', async () => {
    const { entries, count, ref } = (await call(log)) as { entries: Record<string, unknown>[]; count: number; ref: string }
    expect([count, ref]).toEqual([5, 'HEAD'])
    expect(entries[0]).toEqual({
      hash: git('rev-parse', 'HEAD').trim(),
      author_name: expect.stringMatching(/^Ada.* B$/),
      author_email: 'ada@example.com',
      date: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/),
      subject: 'merged',
      parents: git('rev-parse', 'HEAD^1', 'HEAD^2').trim().split('\n'),
    })
    expect(entries.map((entry) => entry['subject'])).toEqual(expect.arrayContaining(['first', 'second é', 'only docs', 'third']))
    expect(entries.at(-1)).toMatchObject({ subject: 'first', parents: [] })
  })

  it('begins where it is told, and ends where it is told', async () => {
    expect(await subjects({ ref: 'side', max_count: 2 })).toEqual(['only docs', 'second é'])
    expect(await subjects({ ref: 'HEAD~1' })).toEqual(['third', 'second é', 'first'])
  })

  it('shows commits as they are, not as a replacement says', async () => {
    const before = await call(log)
    git('replace', git('rev-parse', 'HEAD').trim(), git('rev-parse', 'HEAD~3').trim())
    expect(await call(log)).toEqual(before)
    git('replace', '-d', git('--no-replace-objects', 'rev-parse', 'HEAD').trim())
  })

  it('shows what touched the paths of the session only', async () => {
    expect(await subjects({}, { allowed_paths: ['docs'] })).toEqual(['only docs', 'first'])
  })

  it.each(['nope', '--all', '--output=planted', 'HEAD..side', 'HEAD:src', ':/first'])('takes %s for no commit', async (ref) => {
    for (const tool of [log, show])
      expect(await workspace.failure(tool, { ref })).toMatchObject({
        code: expect.stringMatching(/git_repo_error|invalid_argument/),
      })
    expect(existsSync(join(workspace.code, 'planted'))).toBe(false)
  })
})

describe('git.show', () => {
  const shown = async (args: object, options = {}) => ((await call(show, { ...args }, options)) as { show: string }).show

  it('shows a commit with its message, statistics and changes, or without', async () => {
    const whole = await shown({ ref: 'HEAD~2' })
    expect(whole).toContain('second é\n    \n    with a body\n')
    expect(whole).toContain(' src/a.ts | 2 +-\n')
    expect(whole).toContain('--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1 +1 @@\n-one\n+two\n')
    const bare = await shown({ ref: 'HEAD~2', stat: false, patch: false })
    expect(bare).toContain('with a body')
    expect(bare).not.toMatch(/src\/a\.ts/)
    expect(await shown({ ref: 'HEAD~2', patch: false })).not.toContain('@@')
    expect(await shown({ ref: 'HEAD~2', stat: false })).not.toContain(' | 2 +-')
  })

  it('compares a merge with its first parent', async () => {
    expect(await shown({})).toContain('--- a/docs/b.md')
  })

  it('is limited to a path, and to what the session may use', async () => {
    const first = { ref: 'HEAD~3' }
    expect(await shown({ ...first, path: 'docs' })).not.toContain('src/a.ts')
    expect(await shown(first, { allowed_paths: ['docs'] })).not.toContain('src/a.ts')
    expect(await shown(first, { allowed_paths: ['docs'] })).toContain('docs/b.md')
    expect(await workspace.failure(show, { ...first, path: 'src' }, { allowed_paths: ['docs'] })).toMatchObject({
      code: 'policy_denied',
    })
    expect(await workspace.failure(show, { ...first, path: '../x' })).toMatchObject({ code: 'policy_denied' })
  })
})
