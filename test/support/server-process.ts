import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../../bin/cloister.mjs', import.meta.url))
export const ADMIN_PASSWORD = 'correct horse battery staple'

/** An answer as a test wants to see it. */
export interface Answer {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape
  body: any
}

export interface ServerOptions {
  env?: Record<string, string>
  /** Of another server that was killed. Absent: a new one. */
  home?: string
  /** Run as this ordinary user. */
  uid?: number
  /** Descriptors beyond 2 that the server inherits. */
  extraStdio?: number[]
}

/** The whole server as a process of its own, on a free port of loopback. */
export class ServerProcess {
  readonly home: string
  readonly url: string
  readonly process: ChildProcess
  readonly #options: ServerOptions
  readonly #output: string[]
  #adminToken: string | null = null

  private constructor(home: string, url: string, process: ChildProcess, options: ServerOptions, output: string[]) {
    this.home = home
    this.url = url
    this.process = process
    this.#options = options
    this.#output = output
  }

  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const home = options.home ?? mkdtempSync(join(tmpdir(), 'cloister-e2e-'))
    if (options.uid !== undefined && options.home === undefined) chownSync(home, options.uid, options.uid)
    const child = spawn(process.execPath, [BIN, 'serve'], {
      env: {
        PATH: process.env['PATH'],
        HOME: home,
        PORT: '0',
        CLOISTER_HOME: home,
        CLOISTER_ADMIN_PASSWORD: ADMIN_PASSWORD,
        LOG_LEVEL: 'info',
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe', ...(options.extraStdio ?? [])],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    })
    const output: string[] = []
    child.stderr?.on('data', (chunk: Buffer) => output.push(chunk.toString()))
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        output.push(chunk.toString())
        const listening = /listens on (http:\/\/\S+)/.exec(output.join(''))
        if (listening) resolve(listening[1] as string)
      })
      child.once('exit', (code, signal) => reject(new Error(`the server ended with ${code ?? signal}:\n${output.join('')}`)))
      child.once('error', reject)
    })
    return new ServerProcess(home, url, child, options, output)
  }

  /** Everything that the server printed. */
  get output(): string {
    return this.#output.join('')
  }

  get databaseBytes(): Buffer {
    return Buffer.concat(['', '-wal'].map((suffix) => readFileSync(join(this.home, `cloister.db${suffix}`))))
  }

  async request(
    method: string,
    path: string,
    options: { token?: string | null; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    const token = options.token === undefined ? await this.adminToken() : options.token
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') ?? false
    return { status: response.status, headers: response.headers, text, body: isJson && text !== '' ? JSON.parse(text) : null }
  }

  async login(user: string, password: string): Promise<string> {
    const answer = await this.request('POST', '/v1/auth/login', { token: null, body: { user, password } })
    if (answer.status !== 200) throw new Error(`login of ${user}: ${answer.text}`)
    return answer.body.token
  }

  async adminToken(): Promise<string> {
    this.#adminToken ??= await this.login('admin', ADMIN_PASSWORD)
    return this.#adminToken
  }

  /** Makes a user and logs it in. */
  async user(name: string, fields: Record<string, unknown> = {}): Promise<string> {
    const password = `password of ${name}`
    const made = await this.request('POST', '/v1/users', { body: { name, password, ...fields } })
    if (made.status !== 201) throw new Error(`user ${name}: ${made.text}`)
    return this.login(name, password)
  }

  /** Creates a session and waits until it is no longer initializing. */
  async session(
    body: Record<string, unknown> = {},
    token?: string,
  ): Promise<{ id: string; state: string; state_reason: string | null }> {
    const options = token === undefined ? {} : { token }
    const made = await this.request('POST', '/v1/sessions', { body, ...options })
    if (made.status !== 201) throw new Error(`session: ${made.text}`)
    return this.waitForState(made.body.session.id, (state) => state !== 'initializing', token)
  }

  async waitForState(
    id: string,
    wanted: (state: string) => boolean,
    token?: string,
    timeoutMs = 30_000,
  ): Promise<{ id: string; state: string; state_reason: string | null }> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const answer = await this.request('GET', `/v1/sessions/${id}`, token === undefined ? {} : { token })
      if (answer.status !== 200) throw new Error(`session ${id}: ${answer.text}`)
      if (wanted(answer.body.session.state)) return answer.body.session
      if (Date.now() > deadline) throw new Error(`session ${id} is still ${answer.body.session.state}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  invoke(
    id: string,
    tool: string,
    args: Record<string, unknown>,
    more: Record<string, unknown> = {},
    token?: string,
  ): Promise<Answer> {
    return this.request('POST', `/v1/sessions/${id}/tools/${tool}/invoke`, {
      body: { args, ...more },
      ...(token === undefined ? {} : { token }),
    })
  }

  /** Every stored event, oldest first. */
  async events(id: string): Promise<{ seq: number; type: string; data: Record<string, unknown> }[]> {
    const events = []
    for (let after = 0; ; ) {
      const page = (await this.request('GET', `/v1/sessions/${id}/events?after=${after}`)).body.events
      if (page.length === 0) return events
      events.push(...page)
      after = page.at(-1).seq
    }
  }

  async kill9(): Promise<void> {
    this.process.kill('SIGKILL')
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit')
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    this.process.kill('SIGTERM')
    await once(this.process, 'exit')
  }

  /** Another server on the same home. */
  restart(): Promise<ServerProcess> {
    return ServerProcess.start({ ...this.#options, home: this.home })
  }

  /** Ends the server, what its sandboxes left, and its home. */
  async destroy(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) {
      const last = await this.restart()
      await last.destroy()
      return
    }
    for (let cursor = ''; ; ) {
      const page = (await this.request('GET', `/v1/sessions?limit=200${cursor}`)).body
      for (const session of page.sessions) await this.request('DELETE', `/v1/sessions/${session.id}`)
      if (!page.next_cursor) break
      cursor = `&cursor=${page.next_cursor}`
    }
    await this.stop()
    rmSync(this.home, { recursive: true, force: true })
  }
}
