import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connectHost, listRuns, prepareRun, readToken, removeRun, runDirectory } from './host-launch.ts'
import { SandboxLost } from './sandbox-errors.ts'

describe('host-launch', () => {
  let home: string
  let runRoot: string
  const key = { sessionId: `s${'x'.repeat(63)}`, generation: 12 }

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'cl-'))
    runRoot = join(home, 'run')
  })

  afterEach(() => rmSync(home, { recursive: true }))

  it('makes a private directory, a token and a socket whose path is short for any id', async () => {
    const run = await prepareRun({ runRoot, ...key })
    expect(Buffer.byteLength(run.socketPath)).toBeLessThan(100)
    const modes = [run.dir, join(run.dir, 'token'), run.socketPath].map((path) => (statSync(path).mode & 0o777).toString(8))
    expect(modes).toEqual(['700', '600', '600'])
    expect(run.token.length).toBeGreaterThanOrEqual(32)
    expect(await readToken(run.dir)).toBe(run.token)
    expect(readFileSync(`/proc/self/fdinfo/${run.listenFd}`, 'utf8')).toContain('flags')
    expect(await listRuns(runRoot)).toEqual([{ session_id: key.sessionId, generation: 12, dir: run.dir }])
    await run.closeListener()
    await run.closeListener()
    expect(existsSync(run.socketPath)).toBe(true)
    await removeRun(run.dir)
    expect(await readToken(run.dir)).toBeNull()
    expect(await listRuns(runRoot)).toEqual([])
  })

  it('starts over in a directory that an earlier attempt left', async () => {
    const first = await prepareRun({ runRoot, ...key })
    await first.closeListener()
    const second = await prepareRun({ runRoot, ...key })
    await second.closeListener()
    expect(second.token).not.toBe(first.token)
  })

  it('answers nobody before host does', async () => {
    const run = await prepareRun({ runRoot, ...key })
    const closed = await new Promise<string>((resolve) => {
      const socket = connect(run.socketPath)
      socket
        .on('data', () => resolve('data'))
        .on('close', () => resolve('closed'))
        .on('error', () => undefined)
    })
    expect(closed).toBe('closed')
    await run.closeListener()
  })

  it('says so when nobody has taken the socket over', async () => {
    const run = await prepareRun({ runRoot, ...key })
    await run.closeListener()
    await expect(connectHost({ ...key, ...run, epoch: 1 })).rejects.toBeInstanceOf(SandboxLost)
  })

  it('says so when the path is too long for a socket', async () => {
    const long = join(runRoot, 'x'.repeat(100))
    await expect(prepareRun({ runRoot: long, ...key })).rejects.toMatchObject({ code: 'sandbox_unavailable' })
    expect(existsSync(long)).toBe(false)
  })

  it('lists no directory that is not what it says', async () => {
    mkdirSync(join(runRoot, 'other'), { recursive: true })
    writeFileSync(join(runRoot, 'other/run.json'), JSON.stringify({ session_id: 'ses_1', generation: 1 }))
    mkdirSync(runDirectory(runRoot, { sessionId: 'ses_2', generation: 1 }))
    writeFileSync(
      join(runDirectory(runRoot, { sessionId: 'ses_2', generation: 1 }), 'run.json'),
      '{"session_id": "ses_2", "gener',
    )
    writeFileSync(join(runRoot, 'file'), '')
    expect(await listRuns(runRoot)).toEqual([])
    expect(await listRuns(join(home, 'nowhere'))).toEqual([])
  })

  it.each([
    ['../x', 1],
    ['', 1],
    ['ses_1', -1],
    ['ses_1', 1.5],
  ])('refuses %j %d', async (sessionId, generation) => {
    await expect(prepareRun({ runRoot, sessionId, generation })).rejects.toMatchObject({ code: 'invalid_argument' })
  })
})
