import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { z } from 'zod'
import { errors } from '../domain/errors.ts'
import { SESSION_ID } from '../domain/ids.ts'
import { HostClient } from './host-client.ts'
import { SandboxLost } from './sandbox-errors.ts'

/** The kernel's limit is 108 bytes with the NUL, elsewhere less. */
const MAX_SOCKET_PATH = 100
const START_DEADLINE_MS = 10_000

export interface RunKey {
  sessionId: string
  generation: number
}

/** What one start of a sandbox has on the server's side. Nothing of it is visible inside. */
export interface PreparedRun {
  /** 0700: `run.json`, `token` (0600), `s` (the socket), and whatever else the driver keeps. */
  dir: string
  socketPath: string
  /** Given to host in its boot line. */
  token: string
  /** A listening socket: pass it as the child's descriptor 3. */
  listenFd: number
  /** Closes this process's copy once the child has its own. The path stays. Idempotent. */
  closeListener(): Promise<void>
}

/** `<runRoot>/<16 hex digits of the session's id>.<generation>`: short, whatever the id is. */
export function runDirectory(runRoot: string, { sessionId, generation }: RunKey): string {
  if (!SESSION_ID.test(sessionId)) throw errors.invalidArgument(`${JSON.stringify(sessionId)} is not a session's id`)
  if (!Number.isSafeInteger(generation) || generation < 0) throw errors.invalidArgument('a generation is a whole number')
  const name = createHash('sha256').update(sessionId).digest('hex').slice(0, 16)
  return join(runRoot, `${name}.${generation}`)
}

/**
 * Makes the run directory and a listening socket in it. Throws `sandbox_unavailable` when the path would be too long for a socket,
 * and leaves nothing behind.
 */
export async function prepareRun({ runRoot, ...key }: RunKey & { runRoot: string }): Promise<PreparedRun> {
  const dir = runDirectory(runRoot, key)
  const socketPath = join(dir, 's')
  if (Buffer.byteLength(socketPath) + 2 > MAX_SOCKET_PATH)
    throw errors.sandboxUnavailable(`the path ${socketPath} is too long for a socket: choose a shorter CLOISTER_HOME`)
  await mkdir(runRoot, { recursive: true, mode: 0o700 })
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { mode: 0o700 })
  try {
    const token = randomBytes(32).toString('base64url')
    await writeFile(join(dir, 'run.json'), JSON.stringify({ session_id: key.sessionId, generation: key.generation }), {
      mode: 0o600,
    })
    await writeFile(join(dir, 'token'), token, { mode: 0o600 })
    const server = await listen(socketPath)
    return { dir, socketPath, token, listenFd: descriptorOf(server), closeListener: () => close(server) }
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw error
  }
}

/**
 * Waits until host answers on the socket with the session and generation that are wanted. Call `closeListener` first: only then
 * does the death of host show as a closed connection. Throws `SandboxLost` after 10 s, or as soon as host is gone.
 */
export async function connectHost(
  options: RunKey & { socketPath: string; token: string; epoch: number; timeoutMs?: number },
): Promise<HostClient> {
  const client = new HostClient({ socketPath: options.socketPath, token: options.token, epoch: options.epoch })
  try {
    const health = await client.health(options.timeoutMs ?? START_DEADLINE_MS)
    if (health.session_id !== options.sessionId || health.generation !== options.generation)
      throw new SandboxLost('another host answered')
    return client
  } catch (error) {
    client.disconnect()
    throw error
  }
}

/** The token of a run that an earlier server prepared; null when the run is not there. */
export async function readToken(dir: string): Promise<string | null> {
  return readIfThere(join(dir, 'token'))
}

const runFile = z.object({ session_id: z.string().regex(SESSION_ID), generation: z.number().int().nonnegative() })

/** Runs by what lies in the run root. Directories that name no run are left alone and not listed. */
export async function listRuns(runRoot: string): Promise<{ session_id: string; generation: number; dir: string }[]> {
  const names = await readdir(runRoot).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const runs: { session_id: string; generation: number; dir: string }[] = []
  for (const name of names) {
    const dir = join(runRoot, name)
    const text = await readIfThere(join(dir, 'run.json'))
    const parsed = runFile.safeParse(text === null ? null : parseJson(text))
    if (
      parsed.success &&
      runDirectory(runRoot, { sessionId: parsed.data.session_id, generation: parsed.data.generation }) === dir
    )
      runs.push({ ...parsed.data, dir })
  }
  return runs
}

/** Idempotent. */
export async function removeRun(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true })
}

async function listen(socketPath: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy())
  // libuv removes the name that it bound when the server is closed: so that one is another.
  const bound = `${socketPath}.b`
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(bound, resolve)
  })
  try {
    await chmod(bound, 0o600)
    await rename(bound, socketPath)
    return server
  } catch (error) {
    await close(server)
    throw error
  }
}

/** Node has no public way to the descriptor of a listening socket. */
function descriptorOf(server: Server): number {
  const fd = (server as unknown as { _handle?: { fd?: number } })._handle?.fd
  if (typeof fd !== 'number' || fd < 0) throw new Error('the listening socket has no descriptor')
  return fd
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (server.listening) server.close(() => resolve())
    else resolve()
  })
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw error
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Cut by a crash while it was written: no run.
    return null
  }
}
