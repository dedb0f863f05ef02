import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { newId } from '../../domain/ids.ts'
import { HostConnection } from '../host-connection.ts'
import { cancelResult } from '../wire-schemas.ts'
import { base64, eventually, type Harness, newMarker, noneWith, processesWith, refused, scope } from './harness.ts'

export function execCases(at: () => Harness): void {
  describe('exec', () => {
    it.each([
      [
        'output and exit code',
        ['bash', '-c', 'printf out; printf err >&2; exit 3'],
        { stdout: 'out', stderr: 'err', exit_code: 3 },
      ],
      [
        'arguments reach the program as they are',
        ['printf', '%s|', '$HOME', '`id`', 'a b', ''],
        { stdout: '$HOME|`id`|a b||', exit_code: 0 },
      ],
      ['a signal', ['bash', '-c', 'kill -SEGV $$'], { exit_code: null, signal: 'SIGSEGV' }],
      ['the workspace is the working directory', ['bash', '-c', 'basename "$PWD"'], { stdout: 'code\n' }],
      ['no input is an empty one', ['cat'], { stdout: '', exit_code: 0 }],
    ])('%s', async (_title, argv, expected) => {
      const result = await at().exec(argv)
      const found = { ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString() }
      expect(found).toMatchObject({
        spawn_error: null,
        timed_out: false,
        cancelled: false,
        output_limited: false,
        replayed: false,
        ...expected,
      })
    })

    it('says why a program could not be started', async () => {
      expect(await at().exec(['no-such-program'])).toMatchObject({
        exit_code: null,
        spawn_error: expect.stringContaining('ENOENT'),
      })
      const elsewhere = await at().exec(['true'], { cwd: '/session/code/nowhere' })
      expect(elsewhere).toMatchObject({ exit_code: null, spawn_error: expect.stringContaining('working directory') })
    })

    it('runs in the directory that was asked for', async () => {
      await at().sh('mkdir -p elsewhere/deep')
      const result = await at().exec(['bash', '-c', 'basename "$PWD"'], { cwd: '/session/code/elsewhere/deep' })
      expect(result.stdout.toString()).toBe('deep\n')
    })

    it('gives the command its input', async () => {
      expect((await at().exec(['cat'], { stdin_base64: base64('given') })).stdout.toString()).toBe('given')
      const bytes = randomBytes(5_000_000)
      const streamed = await at().exec(['sha256sum'], {}, { stdin: Readable.from(chunked(bytes)) })
      expect(streamed.stdout.toString()).toContain(createHash('sha256').update(bytes).digest('hex'))
    })

    it('gives commands outputs that can be opened by name', async () => {
      const script = 'cat; echo out > /dev/stdout; echo err > /dev/stderr; echo tee | tee /dev/stderr > /dev/null'
      const result = await at().exec(['bash', '-c', script], { stdin_base64: base64('in\n') })
      expect([result.stdout.toString(), result.stderr.toString()]).toEqual(['in\nout\n', 'err\ntee\n'])
    })

    it('serves many commands at once', async () => {
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, i) => at().exec(['cat'], { stdin_base64: base64(`${i}`) })),
      )
      expect(results.map(({ stdout }) => stdout.toString())).toEqual(Array.from({ length: 40 }, (_, i) => `${i}`))
    })

    it('ends with a command that does not read its input', async () => {
      expect(await at().exec(['true'], {}, { stdin: Readable.from(chunked(Buffer.alloc(20_000_000))) })).toMatchObject({
        exit_code: 0,
      })
    })

    it('kills a command whose input is cut, so that it does not act on half of it', async () => {
      const marker = newMarker()
      async function* half(): AsyncGenerator<Buffer> {
        yield Buffer.from('half')
        await eventually(
          () => processesWith(marker),
          (pids) => pids.length > 0,
        )
        throw new Error('the source failed')
      }
      const request = at().request(['bash', '-c', 'cat > half-input; touch acted-on-it', marker])
      await expect(at().sandbox.exec(request, { stdin: Readable.from(half()) })).rejects.toThrow('the source failed')
      const outcome = await eventually(
        () => at().sandbox.outcomes(request.invocation_id),
        (outcomes) => outcomes.every(({ state }) => state === 'done'),
      )
      expect(outcome).toHaveLength(1)
      await noneWith(marker)
      expect(await at().sh('ls')).not.toContain('acted-on-it')
    })

    it('kills the whole group at the deadline', async () => {
      const marker = newMarker()
      const result = await at().exec(['bash', '-c', `sleep ${marker} & bash -c "sleep ${marker}; true" & echo before; wait`], {
        timeout_ms: 500,
      })
      expect(result).toMatchObject({ timed_out: true, exit_code: null, signal: 'SIGKILL' })
      expect(result.stdout.toString()).toBe('before\n')
      await noneWith(marker)
    })

    it('kills what left its group, by its environment or its parents', async () => {
      const marker = newMarker()
      const script = `setsid sleep ${marker} & (setsid setsid sleep ${marker} &) ; setsid env -i sleep ${marker} & wait`
      const result = await at().exec(['bash', '-c', script], { timeout_ms: 700 })
      expect(result.timed_out).toBe(true)
      await noneWith(marker)
    })

    it('leaves nothing of a command that ended by itself', async () => {
      const marker = newMarker()
      const script = `setsid sleep ${marker} > /dev/null 2>&1 & sleep ${marker} > /dev/null 2>&1 & sleep 0.2; echo ended`
      const result = await at().exec(['bash', '-c', script])
      expect(result).toMatchObject({ exit_code: 0, timed_out: false })
      await noneWith(marker)
    })

    it('ends with its child although the pipes are still held open', async () => {
      const marker = newMarker()
      // It would be the deadline that ends it, if the pipes were waited for.
      const result = await at().exec(['bash', '-c', `setsid sleep ${marker} & echo ended`])
      expect(result).toMatchObject({ exit_code: 0, timed_out: false })
      expect(result.stdout.toString()).toBe('ended\n')
      await noneWith(marker)
    })

    it('leaves other commands of the same invocation alone', async () => {
      const invocation_id = newId('inv')
      const long = at().exec(['bash', '-c', 'sleep 0.7; echo whole'], { invocation_id })
      for (let i = 0; i < 5; i++) await at().exec(['true'], { invocation_id })
      expect(await long).toMatchObject({ exit_code: 0, signal: null })
    })

    it('kills a command that writes too much, and keeps what came before', async () => {
      const result = await at().exec(['yes'], { max_output_bytes: 100_000 })
      expect(result).toMatchObject({ output_limited: true, exit_code: null, output_bytes: 100_000 })
      expect(result.stdout).toHaveLength(100_000)
    })

    it('gives a large output whole and in order', async () => {
      let streamed = 0
      const result = await at().exec(['seq', '1', '2000000'], {}, { onOutput: (_channel, chunk) => (streamed += chunk.length) })
      expect(result.dropped_bytes).toBe(0)
      expect(sha(result.stdout)).toBe(sha(Buffer.from(numbers(2_000_000))))
      expect(streamed).toBe(result.stdout.length)
    })

    it('runs an id once, and answers again with what was kept', async () => {
      const request = at().request(['bash', '-c', 'echo once >> once.txt; echo done'])
      const results = await Promise.all([at().sandbox.exec(request), at().sandbox.exec(request), at().sandbox.exec(request)])
      const again = await at().sandbox.exec({ ...request, argv: ['false'] })
      for (const result of [...results, again])
        expect({ ...result, stdout: result.stdout.toString() }).toMatchObject({ exit_code: 0, stdout: 'done\n' })
      expect(results.filter(({ replayed }) => !replayed)).toHaveLength(1)
      expect(again.replayed).toBe(true)
      expect(await at().read('once.txt')).toBe('once\n')
    })

    it('keeps beginning and end of an output that is too long to keep, and says how much is missing', async () => {
      const whole = Buffer.from(numbers(3_000_000))
      const request = at().request(['seq', '1', '3000000'])
      await at().sandbox.exec(request)
      const again = await at().sandbox.exec({ ...request, attach_only: true })
      expect(again).toMatchObject({ replayed: true, output_bytes: whole.length })
      expect(again.dropped_bytes).toBeGreaterThan(0)
      expect(again.dropped_bytes + again.stdout.length).toBe(whole.length)
      const head = commonPrefix(again.stdout, whole)
      expect(head).toBeGreaterThan(3_000_000)
      const tail = again.stdout.subarray(head)
      expect(tail.length).toBeGreaterThan(3_000_000)
      expect(whole.subarray(whole.length - tail.length).equals(tail)).toBe(true)
    })

    it('only attaches when that is asked for', async () => {
      await refused(at().exec(['touch', 'attached'], { attach_only: true }), 'not_found')
      expect(await at().sh('ls')).not.toContain('attached\n')
    })

    it('cancels everything of an invocation', async () => {
      const marker = newMarker()
      const invocation_id = newId('inv')
      const running = [1, 2].map(() => at().exec(['bash', '-c', `setsid sleep ${marker} & sleep ${marker}`], { invocation_id }))
      await eventually(
        () => processesWith(marker),
        (pids) => pids.length === 4,
      )
      expect((await at().sandbox.cancel(invocation_id)).killed).toBeGreaterThanOrEqual(4)
      for (const result of await Promise.all(running))
        expect(result).toMatchObject({ cancelled: true, exit_code: null, timed_out: false })
      await noneWith(marker)
    })

    it('cancels one command when its signal is aborted, and rejects with the reason', async () => {
      const marker = newMarker()
      const controller = new AbortController()
      const running = at().exec(['sleep', marker], {}, { signal: controller.signal })
      await eventually(
        () => processesWith(marker),
        (pids) => pids.length === 1,
      )
      controller.abort(new Error('enough'))
      await expect(running).rejects.toThrow('enough')
      await noneWith(marker)
    })

    it('never starts a command that was cancelled before it was seen', async () => {
      const request = at().request(['touch', 'too-late'])
      // Straight to host: a client whose signal is aborted early enough sends the two on two connections, in either order.
      const connection = new HostConnection({ ...(await at().address()), epoch: 1 })
      const body = { invocation_id: request.invocation_id, id: request.id }
      expect(await connection.json({ method: 'POST', path: '/cancel', body, timeoutMs: 10_000 }, cancelResult)).toEqual({
        killed: 0,
      })
      connection.close()
      const outcome = await at().sandbox.exec(request)
      expect(outcome).toMatchObject({ cancelled: true, exit_code: null })
      expect(await at().sandbox.stat(scope('too-late'))).toBeNull()
    })

    it('gives commands the secrets, their own variables and no others', async () => {
      const own = await at().exec(['env'], { invocation_id: 'inv_env', env: { OWN: 'variable' } })
      const lines = own.stdout.toString().split('\n')
      expect(lines).toEqual(expect.arrayContaining(['TOKEN=hunter22', 'OWN=variable', 'CLOISTER_INVOCATION=inv_env']))
      expect(lines.filter((line) => /VITEST|NODE_OPTIONS|npm_/.test(line))).toEqual([])
      const bare = await at().exec(['env'], { without_secrets: true })
      expect(bare.stdout.toString()).toContain('PATH=')
      expect(bare.stdout.toString()).not.toContain('hunter22')
    })

    it('does not let a command choose the mark by which it is found', async () => {
      const result = await at().exec(['env'], { invocation_id: 'inv_mark', env: { CLOISTER_INVOCATION: 'other' } })
      expect(result.stdout.toString()).toContain('CLOISTER_INVOCATION=inv_mark\n')
    })

    it('hands no descriptor of its own to commands', async () => {
      const links = await at().sh('cd /proc/self/fd; for f in *; do [ "$f" -gt 2 ] && readlink "$f"; done; true')
      expect(links.split('\n').filter((link) => link.startsWith('socket:') || link.includes('host'))).toEqual([])
    })

    it('remembers outcomes until they are acknowledged', async () => {
      const request = at().request(['true'])
      await at().sandbox.exec(request)
      const { id, invocation_id } = request
      expect(await at().sandbox.outcomes(invocation_id)).toEqual([{ id, invocation_id, kind: 'exec', state: 'done' }])
      await at().sandbox.acknowledge(invocation_id)
      expect(await at().sandbox.outcomes(invocation_id)).toEqual([])
      await refused(at().sandbox.exec({ ...request, attach_only: true }), 'not_found')
    })

    it.each([
      ['no program', { argv: [] }],
      ['a program without a name', { argv: [''] }],
      ['a NUL in an argument', { argv: ['echo', 'a\0b'] }],
      ['a NUL in the environment', { env: { A: 'a\0b' } }],
      ['a variable with an equals sign', { env: { 'A=B': 'c' } }],
      ['no time', { timeout_ms: 0 }],
      ['a relative directory', { cwd: 'here' }],
      ['an id with a line break', { id: 'a\nb' }],
    ])('refuses %s', async (_title, wrong) => {
      await refused(at().exec(['true'], wrong), 'invalid_argument')
    })
  })
}

function* chunked(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 64 * 1024) yield bytes.subarray(at, at + 64 * 1024)
}

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

const numbers = (count: number): string => `${Array.from({ length: count }, (_, index) => index + 1).join('\n')}\n`

function commonPrefix(a: Buffer, b: Buffer): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return length
}
