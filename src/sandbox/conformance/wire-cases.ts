import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { newId } from '../../domain/ids.ts'
import { eventually, type Harness, newMarker, noneWith, processesWith, ROOTS } from './harness.ts'

/** Host against whatever may come over its socket, and against callers that do not behave. */
export function wireCases(at: () => Harness): void {
  async function send(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string | Buffer,
  ): Promise<IncomingMessage> {
    const { socketPath, token } = await at().address()
    return new Promise((resolve, reject) => {
      const all = { authorization: `Bearer ${token}`, 'x-cloister-epoch': '1', ...headers }
      const outgoing = httpRequest({ socketPath, method, path, headers: all, agent: false }, resolve)
      outgoing.once('error', reject)
      outgoing.end(body)
    })
  }
  const code = async (response: IncomingMessage): Promise<string> => JSON.parse(await text(response)).error.code

  describe('wire', () => {
    it.each<[string, number, string, string, string, Record<string, string>, string?]>([
      ['no token', 401, 'unauthorized', 'GET', '/health', { authorization: '' }],
      ['another scheme', 401, 'unauthorized', 'GET', '/health', { authorization: 'Basic eDp5' }],
      ['no epoch', 400, 'invalid_argument', 'GET', '/health', { 'x-cloister-epoch': '' }],
      ['an epoch that is no number', 400, 'invalid_argument', 'GET', '/health', { 'x-cloister-epoch': '1e9' }],
      ['an epoch that is over', 409, 'stale_epoch', 'GET', '/health', { 'x-cloister-epoch': '0' }],
      ['an unknown path', 404, 'not_found', 'GET', '/nothing', {}],
      ['a path of the prototype', 404, 'not_found', 'GET', '/__proto__', {}],
      ['another method', 404, 'not_found', 'DELETE', '/exec', {}],
      ['a path that is no URL', 404, 'not_found', 'GET', '//[', {}],
      ['no JSON', 400, 'invalid_argument', 'POST', '/exec', {}, '{'],
      ['an empty body', 400, 'invalid_argument', 'POST', '/files/read', {}, ''],
      ['a list', 400, 'invalid_argument', 'POST', '/files/read', {}, '[]'],
      ['null', 400, 'invalid_argument', 'POST', '/cancel', {}, 'null'],
      ['fields of the prototype only', 400, 'invalid_argument', 'POST', '/cancel', {}, '{"__proto__": {"invocation_id": "x"}}'],
      [
        'another type',
        400,
        'invalid_argument',
        'POST',
        '/files/read',
        {},
        '{"path": ["/session/code"], "roots": ["/session/code"], "max_bytes": 1}',
      ],
      ['an environment that is none', 400, 'invalid_argument', 'POST', '/configure', {}, '{"env": {"A": 1}}'],
      ['roots that are no JSON', 400, 'invalid_argument', 'GET', '/files/content?path=/session/code/f&roots=x', {}],
      [
        'a query without roots',
        400,
        'invalid_argument',
        'PUT',
        '/files/content?id=1&path=/session/code/f&create_parents=true',
        {},
        'x',
      ],
      ['a negative offset', 400, 'invalid_argument', 'GET', '/processes/output?process_id=p1&after=-1', {}],
      [
        'a streamed command without its request',
        400,
        'invalid_argument',
        'POST',
        '/exec',
        { 'content-type': 'application/octet-stream' },
        'x',
      ],
      [
        'a streamed command with nonsense',
        400,
        'invalid_argument',
        'POST',
        '/exec',
        { 'content-type': 'application/octet-stream', 'x-cloister-exec': '!!' },
        'x',
      ],
    ])('answers %s with %d %s', async (_title, status, expected, method, path, headers, body) => {
      const response = await send(method, path, headers, body)
      expect([response.statusCode, await code(response)]).toEqual([status, expected])
    })

    it('does not read a body that is too large to its end', async () => {
      const outcome = await send('POST', '/files/read', {}, Buffer.alloc(40 * 1024 * 1024, 32)).then(
        code,
        (error: NodeJS.ErrnoException) => error.code,
      )
      expect(['too_large', 'ECONNRESET', 'EPIPE']).toContain(outcome)
      expect(await at().sandbox.health()).toMatchObject({ generation: 1 })
    })

    it('lives on after bytes that are no HTTP, and requests that are cut anywhere', async () => {
      const { socketPath, token } = await at().address()
      const head = `POST /exec HTTP/1.1\r\nhost: h\r\nauthorization: Bearer ${token}\r\nx-cloister-epoch: 1\r\ncontent-length: 100\r\n\r\n{"id":`
      const floods = ['\0\x01\x02', 'GET', 'GET / HTTP/9.9\r\n\r\n', `GET /${'x'.repeat(3_000_000)}`, head]
      for (const bytes of [...floods, ...[10, 40, 120].map((length) => head.slice(0, length))]) {
        await new Promise<void>((resolve) => {
          const socket = connect(socketPath, () => socket.write(bytes, () => socket.destroy()))
          socket.on('error', () => undefined).on('close', () => resolve())
        })
      }
      expect(await at().sandbox.health()).toMatchObject({ generation: 1 })
      expect(await at().sh('echo alive')).toBe('alive\n')
    })

    it('goes on with a command whose caller went away', async () => {
      const marker = newMarker()
      const request = at().request([
        'bash',
        '-c',
        `echo begun; until [ -e gone-${marker} ]; do sleep 0.02; done; echo ended`,
        marker,
      ])
      const response = await send('POST', '/exec', { 'content-type': 'application/json' }, JSON.stringify(request))
      await new Promise((resolve) => response.once('data', resolve))
      response.destroy()
      await at().sh(`touch gone-${marker}`)
      const outcome = await at().sandbox.exec({ ...request, attach_only: true })
      expect(outcome).toMatchObject({ exit_code: 0, replayed: true })
      expect(outcome.stdout.toString()).toBe('begun\nended\n')
      await noneWith(marker)
    })

    it('makes a command wait for a caller that does not read, instead of keeping what it writes', async () => {
      const request = at().request(['bash', '-c', 'seq 1 4000000; echo "whole" > unread'])
      const response = await send(
        'POST',
        '/exec',
        { 'content-type': 'application/json' },
        JSON.stringify({ ...request, max_output_bytes: 2 ** 30 }),
      )
      response.pause()
      // Far longer than the command would need if somebody read.
      await at().sh('sleep 1.5')
      expect(await at().sh('ls unread 2>/dev/null || echo waiting')).toBe('waiting\n')
      response.destroy()
      await eventually(
        () => at().sh('cat unread 2>/dev/null || true'),
        (written) => written === 'whole\n',
        60_000,
      )
      const kept = await at().sandbox.exec({ ...request, attach_only: true })
      expect(kept.stdout.length).toBeLessThanOrEqual(8 * 1024 * 1024)
    })

    it('ends a command at its deadline although its caller does not read', async () => {
      const marker = newMarker()
      const request = at().request(['yes', marker], { timeout_ms: 700, max_output_bytes: 2 ** 30 })
      const response = await send('POST', '/exec', { 'content-type': 'application/json' }, JSON.stringify(request))
      response.pause()
      await eventually(
        () => processesWith(marker),
        (pids) => pids.length > 0,
      )
      await noneWith(marker)
      expect(await at().sandbox.exec({ ...request, attach_only: true })).toMatchObject({ timed_out: true, replayed: true })
      response.destroy()
    })

    it('cuts off a server that holds an older epoch, so that it cannot hold up a command by not reading', async () => {
      const request = at().request(['bash', '-c', 'seq 1 3000000'])
      const response = await send('POST', '/exec', { 'content-type': 'application/json' }, JSON.stringify(request))
      response.pause()
      const closed = new Promise<void>((resolve) => response.once('close', resolve))
      const taken = await at().fixture.makeDriver().find(at().record, at().sessionId, 2)
      expect(taken).not.toBeNull()
      at().sandbox.disconnect()
      if (taken) at().sandbox = taken
      response.on('error', () => undefined).resume()
      await closed
      expect(await at().sandbox.exec({ ...request, attach_only: true })).toMatchObject({ exit_code: 0 })
    })

    it('remembers no more than it may', async () => {
      const invocation_id = newId('inv')
      const remove = (id: string) =>
        at().sandbox.remove({ id, invocation_id, path: '/session/code/none', roots: ROOTS, recursive: false })
      let refusal: unknown = null
      for (let i = 0; refusal === null && i < 10_000; i += 50) {
        const batch = await Promise.allSettled(Array.from({ length: 50 }, (_, j) => remove(`many-${i + j}`)))
        refusal = batch.find(({ status }) => status === 'rejected') ?? null
      }
      expect(refusal).toMatchObject({ reason: { code: 'too_large' } })
      await at().sandbox.acknowledge(invocation_id)
      expect(await remove('after')).toEqual({ existed: false })
    })
  })
}
