import { lstatSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { ConnectorFault } from '../connector-fault.ts'
import { McpSession } from '../mcp-session.ts'
import { BRIDGE_LOST, type BridgeAnswer, type BridgeRequest, LINE_BYTES, NO_BRIDGE } from './bridge-protocol.ts'

/**
 * Runs inside the sandbox, bundled into one file. `serve SOCKET COMMAND...` keeps one MCP server running, and its state, for as long as
 * the sandbox lives, and takes calls over a socket; `call SOCKET WAIT_MS` brings one request there from standard input and prints
 * the answer. A request goes to the server once, or not at all.
 */

const START_MS = 60_000
const LOOK_MS = 1000
/** A server that does not start is told about for so long: whoever had it started is about to ask. */
const TOLD_MS = 5000

if (import.meta.main) {
  const [, , command, socket, ...rest] = process.argv as [string, string, string, string, ...string[]]
  if (command === 'serve') await serve(socket, rest)
  else process.exitCode = await bring(socket, Number(rest[0]))
}

/** Ends when its server ends, when somebody else has its socket, or with the sandbox. */
async function serve(path: string, [program, ...args]: string[]): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (client) => void answer(client))
  if (!(await listen(server, path))) return
  const session = new McpSession(0)
  const transport = new StdioClientTransport({
    command: program as string,
    args,
    env: process.env as Record<string, string>,
    stderr: 'inherit',
    maxBufferSize: LINE_BYTES,
  })
  const ready = session.connect(transport, { timeout_ms: START_MS })
  const own = lstatSync(path).ino
  const end = () => {
    server.close()
    if (inodeOf(path) === own) rmSync(path, { force: true })
  }
  const look = setInterval(() => {
    if (inodeOf(path) === own && !session.closed) return
    clearInterval(look)
    end()
    // Those who wait get their answers: that the server went away.
    setTimeout(() => process.exit(0), LOOK_MS)
  }, LOOK_MS)
  ready.catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    clearInterval(look)
    setTimeout(() => {
      end()
      process.exit(1)
    }, TOLD_MS)
  })

  async function answer(client: Socket): Promise<void> {
    const gone = new AbortController()
    client.on('error', () => gone.abort())
    client.once('close', () => gone.abort())
    let said: BridgeAnswer
    try {
      const request = JSON.parse(await readAll(client)) as BridgeRequest
      await Promise.race([ready, tooLate(request.timeout_ms)])
      said = await perform(request, gone.signal)
    } catch (error) {
      const fault = error instanceof ConnectorFault ? error : new ConnectorFault('lost', String(error))
      said = { fault: { code: fault.code, message: fault.message } }
    }
    client.end(JSON.stringify(said))
  }

  async function perform(request: BridgeRequest, signal: AbortSignal): Promise<BridgeAnswer> {
    const { timeout_ms } = request
    if (request.op === 'list') return { listed: await session.list({ timeout_ms, signal }) }
    const { tool, args, digest } = request
    return session.call({ tool, args, digest, timeout_ms, signal })
  }
}

function tooLate(ms: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new ConnectorFault('unreachable', 'its server does not start in time')), ms)
  })
}

/** False: another bridge serves this socket already. */
async function listen(server: ReturnType<typeof createServer>, path: string): Promise<boolean> {
  for (let attempt = 0; ; attempt++) {
    const failure = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      server.once('error', resolve)
      server.listen(path, () => resolve(null))
    })
    server.removeAllListeners('error')
    if (failure === null) return true
    if (failure.code !== 'EADDRINUSE' || attempt > 0) throw failure
    const taken = await open(path)
    if (taken !== null) {
      taken.destroy()
      return false
    }
    // What a killed bridge left.
    rmSync(path, { force: true })
  }
}

/** One request there and back. @returns the exit code */
async function bring(path: string, waitMs: number): Promise<number> {
  const request = await readAll(process.stdin)
  let socket = await open(path)
  for (const ends = Date.now() + waitMs; socket === null && Date.now() < ends; socket = await open(path))
    await new Promise((resolve) => setTimeout(resolve, 20))
  if (socket === null) return NO_BRIDGE
  const lost = new Promise<null>((resolve) => socket.once('error', () => resolve(null)))
  socket.end(request)
  const said = await Promise.race([readAll(socket).catch(() => null), lost])
  if (said === null || said === '') return BRIDGE_LOST
  await new Promise((resolve) => process.stdout.write(said, resolve))
  return 0
}

function open(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({ path, allowHalfOpen: true })
    socket.once('connect', () => resolve(socket))
    socket.once('error', () => resolve(null))
  })
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.length
    if (size > 2 * LINE_BYTES) throw new ConnectorFault('unfit', 'more was said than fits')
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks).toString('utf8')
}

function inodeOf(path: string): number | null {
  return lstatSync(path, { throwIfNoEntry: false })?.ino ?? null
}
