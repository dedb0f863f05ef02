import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import { newId } from '../../domain/ids.ts'
import edit from '../fs/edit.ts'
import insert from '../fs/insert.ts'
import write from '../fs/write.ts'
import undo from './undo_edit.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => {
  await workspace.clear()
  await workspace.plant({ 'src/a.ts': 'one\n', 'run.sh*': '#!/bin/sh\n' })
})

const path = (name: string) => join(workspace.code, name)
const text = (name: string) => readFileSync(path(name), 'utf8')
const call = async (args: { path: string }, options = {}) => (await workspace.call(undo, args, options)).output

describe('workspace.undo_edit', () => {
  it.each([
    ['fs.write', () => workspace.call(write, { path: 'src/a.ts', content: 'two\n' })],
    ['fs.edit', () => workspace.call(edit, { path: 'src/a.ts', old_string: 'one', new_string: 'two' })],
    ['fs.insert', () => workspace.call(insert, { path: 'src/a.ts', line: 1, content: 'two\n' })],
  ])('takes back what %s did, once', async (_, change) => {
    await change()
    expect(text('src/a.ts')).toContain('two')
    expect(await call({ path: './src/a.ts' })).toEqual({ path: 'src/a.ts', restored: true, sha256: sha256('one\n') })
    expect(text('src/a.ts')).toBe('one\n')
    expect(await workspace.failure(undo, { path: 'src/a.ts' })).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('nothing to undo for src/a.ts'),
    })
    expect(text('src/a.ts')).toBe('one\n')
  })

  it('keeps one level for each file, and the mode', async () => {
    await workspace.call(write, { path: 'run.sh', content: 'second' })
    await workspace.call(write, { path: 'src/a.ts', content: 'second' })
    await workspace.call(write, { path: 'src/a.ts', content: 'third' })
    await call({ path: 'src/a.ts' })
    await call({ path: 'run.sh' })
    expect([text('src/a.ts'), text('run.sh'), statSync(path('run.sh')).mode & 0o777]).toEqual(['second', '#!/bin/sh\n', 0o755])
  })

  it('brings back what was deleted since, and has nothing for what was new', async () => {
    await workspace.call(write, { path: 'src/a.ts', content: 'two' })
    rmSync(path('src'), { recursive: true })
    await call({ path: 'src/a.ts' })
    expect(text('src/a.ts')).toBe('one\n')
    await workspace.call(write, { path: 'new.ts', content: 'x' })
    expect(await workspace.failure(undo, { path: 'new.ts' })).toMatchObject({ code: 'invalid_argument' })
    expect(await workspace.failure(undo, { path: 'never.ts' })).toMatchObject({ code: 'invalid_argument' })
    expect(text('new.ts')).toBe('x')
  })

  it('does it once when it is run again after a crash', async () => {
    await workspace.call(write, { path: 'src/a.ts', content: 'two' })
    const invocation_id = newId('inv')
    const first = await call({ path: 'src/a.ts' }, { invocation_id })
    writeFileSync(path('src/a.ts'), 'later')
    expect(await call({ path: 'src/a.ts' }, { invocation_id })).toEqual(first)
    expect(text('src/a.ts')).toBe('later')
  })

  it.each(['../secrets/x', '/etc/passwd', '/session/.undo/x', '.git/config', 'sub/.GIT/x', 'a\0'])(
    'does not touch %j',
    async (name) => {
      expect(await workspace.failure(undo, { path: name })).toMatchObject({ code: 'policy_denied' })
    },
  )

  it('does not write through a link that leads out, or a directory', async () => {
    await workspace.call(write, { path: 'src/a.ts', content: 'two' })
    mkdirSync(path('other'))
    rmSync(path('src'), { recursive: true })
    symlinkSync('other', path('src'))
    expect(await workspace.failure(undo, { path: 'src/a.ts' }, { allowed_paths: ['src'] })).toMatchObject({
      code: expect.stringMatching(/policy_denied|invalid_argument/),
    })
    rmSync(path('src'))
    symlinkSync('/etc', path('src'))
    expect(await workspace.failure(undo, { path: 'src/a.ts' })).toMatchObject({ code: 'policy_denied' })
    expect(existsSync(path('other/a.ts'))).toBe(false)
    expect(existsSync('/etc/a.ts')).toBe(false)
    rmSync(path('src'))
    mkdirSync(path('src/a.ts'), { recursive: true })
    expect(await workspace.failure(undo, { path: 'src/a.ts' })).toMatchObject({ code: 'invalid_argument' })
    expect(await workspace.failure(undo, { path: 'run.sh' }, { allowed_paths: ['src'] })).toMatchObject({ code: 'policy_denied' })
  })

  it('needs a person, and accepts nothing else', () => {
    expect(undo.metadata).toMatchObject({ requires_approval: true, side_effects: 'reversible', risk_level: 'medium' })
    for (const args of [{}, { path: 7 }, { path: '' }, { path: 'x'.repeat(4097) }, { path: 'a', all: true }])
      expect(undo.input.safeParse(args).success).toBe(false)
  })
})
