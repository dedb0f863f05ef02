import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'iovalkey'

/** A real server that speaks the Redis protocol, on loopback, in memory. */
export interface RedisServer {
  port: number
  /** A connection of the test's own. */
  client: Redis
  /** Ends it without a goodbye. */
  kill(): Promise<void>
  /** Again, empty, on the same port. */
  restart(): Promise<void>
  /** It holds its connections and answers nothing. */
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

const PROGRAM = '/usr/bin/redis-server'

/** Starts one on a free port. @param options more arguments, such as `--requirepass` and a password */
export async function startRedisServer(options: string[] = [], password?: string): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-redis-'))
  const port = await freePort()
  let child: ChildProcess
  let client: Redis

  const start = async () => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no', ...options]
    child = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise<void>((resolve, reject) => {
      let said = ''
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk
        if (said.includes('Ready to accept connections')) resolve()
      })
      child.once('error', reject)
      child.once('exit', () => reject(new Error(`redis-server ended:\n${said}`)))
    })
    client = new Redis({ host: '127.0.0.1', port, ...(password !== undefined && { password }) })
  }
  const kill = async () => {
    client.disconnect()
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  await start()
  return {
    port,
    get client() {
      return client
    },
    kill,
    restart: async () => {
      await kill()
      await start()
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    stop: async () => {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}
