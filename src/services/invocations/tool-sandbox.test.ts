import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import { ToolError } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'
import { makeRedactor } from '../../domain/redaction.ts'
import type { HostErrorCode } from '../../host/wire.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { HostError, SandboxLost } from '../../sandbox/sandbox-errors.ts'
import { makeToolSandbox, type ToolSandboxOptions } from './tool-sandbox.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const make = (options: Partial<ToolSandboxOptions> = {}) =>
  makeToolSandbox({
    sandbox: workspace.started.sandbox,
    invocationId: newId('inv'),
    roots: ['/session/code', '/session/data'],
    signal: new AbortController().signal,
    deadline: Date.now() + 20_000,
    maxOutputBytes: 1_000_000,
    redactor: makeRedactor({ [SECRET.name]: SECRET.value }),
    onOutput: () => {},
    onOutputCut: () => {},
    remembersAnswers: true,
    ...options,
  })

describe('run', () => {
  it('resolves whatever the exit code, in the workspace, with secrets unless told otherwise', async () => {
    const script = 'pwd; echo "$API_TOKEN" >&2; cat; exit 3'
    const result = await make().run(['sh', '-c', script], { stdin: 'given' })
    expect(result).toMatchObject({ exit_code: 3, stderr: '[secret:API_TOKEN]\n', stopped: false })
    expect(result.stdout).toMatch(/\/code\ngiven$/)
    expect(await make().run(['sh', '-c', script], { without_secrets: true })).toMatchObject({ stderr: '\n' })
  })

  it('passes its input, however long', async () => {
    const stdin = Buffer.alloc(300_000, 'abc')
    const { stdout } = await make().run(['sha256sum'], { stdin })
    const small = await make().run(['cat'], { stdin: 'é'.repeat(1000) })
    expect(stdout).toBe(`${sha256(stdin)}  -\n`)
    expect(small.stdout).toBe('é'.repeat(1000))
  })

  it('streams what is printed, but for what is quiet', async () => {
    const seen: string[] = []
    const sandbox = make({ onOutput: (channel, chunk) => void seen.push(`${channel} ${chunk}`) })
    await sandbox.run(['echo', 'quiet'], { quiet: true })
    await sandbox.run(['sh', '-c', 'echo loud >&2'])
    expect(seen).toEqual(['stderr loud\n'])
  })

  it('takes secrets out of what is only shown, and leaves data as it is', async () => {
    const script = 'echo "out $API_TOKEN"; echo "err $API_TOKEN" >&2'
    const shown = { stdout: 'out [secret:API_TOKEN]\n', stderr: 'err [secret:API_TOKEN]\n' }
    expect(await make().run(['sh', '-c', script])).toMatchObject(shown)
    expect(await make().run(['sh', '-c', script], { quiet: true })).toMatchObject({ ...shown, stdout: `out ${SECRET.value}\n` })
  })

  it.each([false, true])(
    'keeps on an error no rest of a secret at the beginning of what was printed last (quiet: %s)',
    async (quiet) => {
      // Of 64 KiB that are kept, the first 5 characters would be the last of the value.
      const after = 64 * 1024 - 5
      const script = `head -c 9000 /dev/zero | tr '\\0' x; printf %s "$API_TOKEN"; head -c ${after} /dev/zero | tr '\\0' y; kill -9 $$`
      const error = await make()
        .run(['bash', '-c', script], { quiet })
        .catch((thrown: ToolError) => thrown)
      const { stdout } = (error as ToolError).output as { stdout: string }
      expect(stdout.length).toBe(64 * 1024)
      expect('[secret:API_TOKEN]').toContain(stdout.slice(0, 5))
    },
  )

  it('shows no beginning of a secret that the limit of the output cuts', async () => {
    const cuts: string[] = []
    const seen: string[] = []
    const limit = 1000
    const script = `head -c ${limit - 5} /dev/zero | tr '\\0' x; printf %s "$API_TOKEN"; sleep 30`
    const sandbox = make({
      maxOutputBytes: limit,
      onOutput: (_, chunk) => void seen.push(chunk.toString()),
      onOutputCut: () => void cuts.push(seen.join('')),
    })
    const error = await sandbox.run(['bash', '-c', script]).catch((thrown: ToolError) => thrown)
    expect((error as ToolError).output).toMatchObject({ stdout: 'x'.repeat(limit - 5) })
    // Said after all of it came, so that who shows it as it comes can let go of its end.
    expect(cuts).toEqual([`${'x'.repeat(limit - 5)}${SECRET.value.slice(0, 5)}`])
    const stopped = await make().run(['bash', '-c', script], { stop_after_bytes: limit })
    expect(stopped).toMatchObject({ stopped: true, stdout: 'x'.repeat(limit - 5) })
  })

  it('says what could not be started, and what was killed', async () => {
    await expect(make().run(['no-such-program'])).rejects.toMatchObject({
      code: 'execution_failed',
      exitCode: 127,
      message: expect.stringContaining('no-such-program could not be started'),
      sandboxFault: true,
    })
    await expect(make().run(['sh', '-c', 'echo last words; kill -9 $$'])).rejects.toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('SIGKILL'),
      output: { stdout: 'last words\n', stderr: '' },
      sandboxFault: true,
    })
    await expect(make().read('nowhere', { max_bytes: 1 })).rejects.toMatchObject({ code: 'not_found', sandboxFault: false })
  })

  it('kills at the deadline, and keeps what came before', async () => {
    const started = Date.now()
    const wanted = {
      code: 'timeout',
      exitCode: 124,
      output: { command: ['sh', '-c', 'echo begun; sleep 60'], stdout: 'begun\n' },
    }
    await expect(make({ deadline: started + 3000 }).run(['sh', '-c', 'echo begun; sleep 60'])).rejects.toMatchObject(wanted)
    await expect(make().run(['sleep', '60'], { timeout_seconds: 1 })).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('within 1 s'),
    })
    const late = make({ deadline: started })
    await expect(late.run(['touch', 'late'])).rejects.toMatchObject({ code: 'timeout' })
    await expect(late.write('late', 'x')).rejects.toMatchObject({ code: 'timeout' })
    expect(existsSync(join(workspace.code, 'late'))).toBe(false)
  })

  it('counts the output of all commands together', async () => {
    const sandbox = make({ maxOutputBytes: 1000 })
    await sandbox.run(['head', '-c', '600', '/dev/zero'])
    await expect(sandbox.run(['sh', '-c', 'yes; touch survived'])).rejects.toMatchObject({
      code: 'output_too_large',
      message: expect.stringContaining('1000 bytes'),
      output: { stdout: expect.stringMatching(/^y\n/) },
    })
    await expect(sandbox.run(['true'])).rejects.toMatchObject({ code: 'output_too_large' })
    expect(existsSync(join(workspace.code, 'survived'))).toBe(false)
  })

  it('stops a command that has said enough', async () => {
    const { stopped, stdout } = await make().run(['yes'], { stop_after_bytes: 1000 })
    expect(stopped).toBe(true)
    expect(stdout.length).toBeGreaterThan(100)
    expect(stdout.length).toBeLessThanOrEqual(1000)
    expect(await make().run(['echo', 'short'], { stop_after_bytes: 1000 })).toMatchObject({ stopped: false, exit_code: 0 })
  })

  it('runs only in directories that exist for tools', async () => {
    await expect(make().run(['pwd'], { cwd: '/etc' })).rejects.toMatchObject({ code: 'policy_denied' })
    await expect(make().run(['pwd'], { cwd: '../..' })).rejects.toMatchObject({ code: 'policy_denied' })
  })
})

describe('operations', () => {
  it('are named in the order of the calls, reads not counted', async () => {
    const seen: string[] = []
    const invocationId = newId('inv')
    const sandbox = make({ invocationId, onOperation: (id, kind) => void seen.push(`${id} ${kind}`) })
    await sandbox.write('a', 'x')
    await sandbox.read('a', { max_bytes: 10 })
    await Promise.all([sandbox.run(['true']), sandbox.run(['true'])])
    await sandbox.mkdir('d', { create_parents: false, mode: '0755' })
    await sandbox.copy('a', 'b', { overwrite: false, create_parents: false, recursive: false })
    await sandbox.move('b', 'c', { overwrite: false, create_parents: false })
    await sandbox.stat('c')
    await sandbox.list('.', { recursive: false, max_entries: 10, skip_git: true })
    await sandbox.remove('c', { recursive: false })
    await sandbox.keepPrevious('a')
    await sandbox.restorePrevious('a')
    const { process_id } = await sandbox.startProcess(['sleep', '30'])
    await sandbox.listProcesses()
    await sandbox.processOutput(process_id, 0)
    await sandbox.stopProcess(process_id, 'SIGKILL')
    const kinds = ['write', 'exec', 'exec', 'mkdir', 'copy', 'move', 'remove', 'keep', 'restore', 'process']
    expect(seen).toEqual(kinds.map((kind, index) => `${invocationId}/${index + 1} ${kind}`))
  })

  it('are done once by a handler that runs twice', async () => {
    const invocationId = newId('inv')
    const handler = async () => {
      const sandbox = make({ invocationId })
      await sandbox.write('log', 'begun\n')
      return await sandbox.run(['sh', '-c', 'echo ran >> log; cat log'])
    }
    const first = await handler()
    expect(await handler()).toMatchObject({ stdout: first.stdout, exit_code: 0 })
    expect(readFileSync(join(workspace.code, 'log'), 'utf8')).toBe('begun\nran\n')
  })
})

describe('cancellation', () => {
  it('ends what runs, and lets nothing begin', async () => {
    const controller = new AbortController()
    const sandbox = make({ signal: controller.signal })
    const running = sandbox.run(['sh', '-c', 'touch begun; sleep 30; touch survived'])
    while (!existsSync(join(workspace.code, 'begun'))) await delay(20)
    controller.abort()
    await expect(running).rejects.toMatchObject({ code: 'cancelled' })
    await expect(sandbox.run(['touch', 'late'])).rejects.toMatchObject({ code: 'cancelled' })
    await expect(sandbox.read('begun', { max_bytes: 1 })).rejects.toMatchObject({ code: 'cancelled' })
    await expect(sandbox.write('late', 'x')).rejects.toMatchObject({ code: 'cancelled' })
    expect(existsSync(join(workspace.code, 'late'))).toBe(false)
  })

  it('says what its reason says', async () => {
    const reason = new ToolError('timeout', 'the gate has had enough', { exitCode: 124 })
    await expect(make({ signal: AbortSignal.abort(reason) }).stat('.')).rejects.toBe(reason)
  })
})

describe('errors of host', () => {
  /** Host as it answers, whatever is asked. */
  const answering = (error: Error) => make({ sandbox: { stat: () => Promise.reject(error) } as unknown as Sandbox })

  it.each<[HostErrorCode, string]>([
    ['not_found', 'not_found'],
    ['path_denied', 'policy_denied'],
    ['is_directory', 'invalid_argument'],
    ['not_a_directory', 'invalid_argument'],
    ['invalid_argument', 'invalid_argument'],
    ['too_large', 'invalid_argument'],
    ['exists', 'execution_failed'],
    ['changed', 'execution_failed'],
    ['internal', 'execution_failed'],
    ['unauthorized', 'sandbox_lost'],
    ['stale_epoch', 'sandbox_lost'],
  ])('%s becomes %s', async (code, wanted) => {
    await expect(answering(new HostError(code, 'why')).stat('x')).rejects.toMatchObject({ code: wanted, message: 'why' })
  })

  it('a lost sandbox is a tool error, and a defect of ours stays one', async () => {
    await expect(answering(new SandboxLost('gone')).stat('x')).rejects.toMatchObject({ code: 'sandbox_lost' })
    await expect(answering(new TypeError('bug')).stat('x')).rejects.toThrow(TypeError)
  })

  it('paths are refused before host is asked', async () => {
    const sandbox = make({ sandbox: {} as Sandbox })
    for (const path of ['../x', '/etc/passwd', '/session/secrets/x', 'a\0', '']) {
      await expect(sandbox.read(path, { max_bytes: 1 })).rejects.toMatchObject({
        code: 'policy_denied',
        details: { rule: 'path_scope' },
      })
      await expect(sandbox.move('ok', path, { overwrite: true, create_parents: true })).rejects.toMatchObject({
        code: 'policy_denied',
      })
    }
  })
})
