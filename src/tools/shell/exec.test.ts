import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { newId } from '../../domain/ids.ts'
import exec from './exec.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const call = async (args: object, options = {}) => (await workspace.call(exec, { ...args }, options)).output
const failure = async (args: object, options = {}) => await workspace.failure(exec, { ...args }, options)

describe('shell.exec', () => {
  it('runs a command line and tells how it ended', async () => {
    expect(await call({ command: 'echo out; echo err >&2; exit 3' })).toEqual({
      command: 'echo out; echo err >&2; exit 3',
      exit_code: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    expect(await call({ command: 'cat | tr a-z A-Z', stdin: 'häy' })).toMatchObject({ exit_code: 0, stdout: 'HäY' })
    await workspace.plant({ 'sub/x': '' })
    expect(await call({ command: 'ls; shopt -q login_shell && echo login', cwd: 'sub' })).toMatchObject({ stdout: 'x\nlogin\n' })
    expect(await call({ command: 'test -n "$API_TOKEN"' })).toMatchObject({ exit_code: 0 })
  })

  it('needs a person and a setting', () => {
    expect(exec.metadata).toMatchObject({
      requires_approval: true,
      side_effects: 'reversible',
      risk_level: 'medium',
      policy: { needs_setting: 'CLOISTER_SHELL' },
    })
  })

  it('kills at its deadline, with what it had printed', async () => {
    const error = await failure({ command: 'echo begun; setsid sleep 30 & sleep 30; touch survived', timeout_seconds: 1 })
    expect(error).toMatchObject({ code: 'timeout', exitCode: 124, output: { stdout: 'begun\n' } })
    expect(existsSync(join(workspace.code, 'survived'))).toBe(false)
  })

  it('ends what prints without end', async () => {
    expect(await failure({ command: 'yes' })).toMatchObject({ code: 'output_too_large' })
  })

  it('says what killed it', async () => {
    expect(await failure({ command: 'kill -9 $$' })).toMatchObject({ code: 'execution_failed', message: /SIGKILL/ })
  })

  it('has its effect once when it is run again after a crash', async () => {
    const invocation_id = newId('inv')
    const args = { command: 'echo ran >> log; cat log' }
    const first = await call(args, { invocation_id })
    expect(await call(args, { invocation_id })).toEqual(first)
    expect(readFileSync(join(workspace.code, 'log'), 'utf8')).toBe('ran\n')
  })

  it.each(['../..', '/etc', '/session/secrets', '/session', 'a\0b'])('does not run in %j', async (cwd) => {
    expect(await failure({ command: 'pwd', cwd })).toMatchObject({ code: 'policy_denied' })
  })

  it('does not run in a directory that a link leads to outside, or that is missing', async () => {
    symlinkSync('/etc', join(workspace.code, 'out'))
    mkdirSync(join(workspace.code, 'in'))
    symlinkSync('in', join(workspace.code, 'link'))
    expect(await failure({ command: 'pwd', cwd: 'out' })).toMatchObject({ code: 'policy_denied' })
    expect(await failure({ command: 'pwd', cwd: 'missing' })).toMatchObject({
      code: expect.stringMatching(/not_found|invalid_argument/),
    })
    expect(await call({ command: 'pwd', cwd: 'link' })).toMatchObject({ exit_code: 0 })
  })

  it('takes no input for what runs in the background', async () => {
    expect(await failure({ command: 'cat', stdin: 'x', background: true })).toMatchObject({ code: 'invalid_argument' })
    expect(await failure({ command: 'pwd', cwd: '../..', background: true })).toMatchObject({ code: 'policy_denied' })
    symlinkSync('/etc', join(workspace.code, 'out'))
    expect(await failure({ command: 'pwd', cwd: 'out', background: true })).toMatchObject({ code: 'policy_denied' })
  })

  it.each([
    {},
    { command: '' },
    { command: 7 },
    { command: ['ls'] },
    { command: 'x'.repeat(4097) },
    { command: 'a\0b' },
    { command: 'ls', timeout_seconds: 0 },
    { command: 'ls', timeout_seconds: 601 },
    { command: 'ls', stdin: 'x'.repeat(1024 * 1024 + 1) },
    { command: 'ls', background: 'yes' },
    { command: 'ls', env: {} },
  ])('does not accept %#', (args) => {
    expect(exec.input.safeParse(args).success).toBe(false)
  })
})
