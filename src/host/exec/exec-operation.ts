import { type ChildProcess, spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecOutcome } from '../wire.ts'
import { Attachment } from './attachment.ts'
import { CommandStdio, type CommandStreams } from './command-stdio.ts'
import { KeptOutput } from './kept-output.ts'
import type { PipePool } from './pipe-pool.ts'
import { findFamily, preferForOom, signalFamily } from './process-table.ts'

/** After the child's end its pipes get this long to run dry, in time during which they are being read. */
const GRACE_MS = 100
const TICK_MS = 10
/** A child that SIGKILL does not end (a dead network file system) is given up after this long. */
const UNKILLABLE_MS = 5_000

export interface Command {
  id: string
  invocation_id: string
  argv: string[]
  cwd: string
  env: Record<string, string>
  stdin: Buffer | IncomingMessage | null
  timeout_ms: number
  max_output_bytes: number
}

/** One command from its spawn to its outcome. Its callers come and go (`attach`); it ends by itself, its deadline, or `kill`. */
export class ExecOperation {
  readonly id: string
  readonly invocationId: string
  readonly kept = new KeptOutput()
  readonly #attachments = new Set<Attachment>()
  readonly #onDone: () => void
  readonly #sweepStrays: () => boolean
  readonly #started = Date.now()
  #streams: CommandStreams = { input: null, outputs: [] }
  #pid: number | null = null
  #timers: NodeJS.Timeout[] = []
  #outcome: ExecOutcome | null = null
  #ended: Promise<void> = Promise.resolve()
  #pipesEnded = false
  #exitSeen = false
  /** Read on whether callers keep up or not. */
  #ending = false
  #outputBytes = 0
  #timedOut = false
  #cancelled = false
  #outputLimited = false
  #maxOutputBytes = Number.POSITIVE_INFINITY

  /**
   * @param sweepStrays may strays be looked for by the invocation's tag? Not while another operation of it runs.
   * @param onDone called once, when the outcome is there
   */
  constructor(id: string, invocationId: string, sweepStrays: () => boolean, onDone: () => void) {
    this.id = id
    this.invocationId = invocationId
    this.#sweepStrays = sweepStrays
    this.#onDone = onDone
  }

  get outcome(): ExecOutcome | null {
    return this.#outcome
  }

  get pid(): number | null {
    return this.#pid
  }

  /** Returns once the command runs, or has its outcome because it cannot. */
  async start(command: Command, pool: PipePool): Promise<void> {
    this.#maxOutputBytes = command.max_output_bytes
    const problem = workingDirectoryProblem(command.cwd)
    if (problem) {
      this.#finish(null, null, problem)
      return
    }
    const stdio = await CommandStdio.open(pool, command.stdin !== null)
    if (this.#cancelled) {
      stdio.discard()
      this.#finish(null, null, null)
      return
    }
    let child: ChildProcess
    try {
      const { cwd, env, argv } = command
      child = spawn(argv[0] as string, argv.slice(1), { cwd, env, detached: true, stdio: stdio.entries })
    } catch (error) {
      stdio.discard()
      this.#finish(null, null, error instanceof Error ? error.message : String(error))
      return
    }
    this.#follow(child, stdio.streams(child), command)
  }

  #follow(child: ChildProcess, streams: CommandStreams, command: Command): void {
    this.#streams = streams
    this.#pid = child.pid ?? null
    child.once('error', (error) => {
      if (this.#pid === null) this.#finish(null, null, error.message)
    })
    if (this.#pid === null) return
    preferForOom(this.#pid)
    const closed = streams.outputs.map((pipe) => new Promise<void>((resolve) => pipe.once('close', resolve)))
    this.#ended = Promise.all(closed).then(() => {
      this.#pipesEnded = true
    })
    for (const [index, pipe] of streams.outputs.entries())
      pipe.on('data', (chunk: Buffer) => this.#output(index === 0 ? 1 : 2, chunk))
    child.once('exit', (code, signal) => void this.#exited(code, signal))
    this.#timers.push(setTimeout(() => this.#deadline(), command.timeout_ms))
    if (command.stdin !== null) this.#feed(command.stdin)
  }

  /** Ends an operation that is not to start at all. */
  neverStart(): void {
    this.#cancelled = true
    this.#finish(null, null, null)
  }

  /** Streams to this response what was kept, what comes, and the outcome. */
  attach(response: ServerResponse, replayed: boolean): void {
    const attachment = new Attachment(response, this, replayed, () => this.#flow())
    this.#attachments.add(attachment)
    response.once('close', () => {
      this.#attachments.delete(attachment)
      this.#flow()
    })
    attachment.pump()
  }

  /** @returns how many processes were signalled. SIGKILL leaves none of the family. */
  cancel(signal: NodeJS.Signals): number {
    if (this.#outcome) return 0
    this.#cancelled = true
    return this.#kill(signal)
  }

  /** For host's own end. */
  killNow(): void {
    if (!this.#outcome) this.cancel('SIGKILL')
  }

  #deadline(): void {
    this.#timedOut = true
    // The child is gone, and only a caller that does not read holds up the end.
    if (this.#exitSeen) {
      this.#ending = true
      this.#flow()
    }
    this.#kill('SIGKILL')
  }

  #kill(signal: NodeJS.Signals): number {
    if (this.#pid === null) return 0
    if (signal === 'SIGKILL') this.#timers.push(setTimeout(() => this.#finish(null, 'SIGKILL', null), UNKILLABLE_MS))
    return signalFamily({ leader: this.#pid, tag: this.#sweepStrays() ? this.invocationId : null }, signal)
  }

  #output(channel: 1 | 2, chunk: Buffer): void {
    if (this.#outcome) return
    const room = this.#maxOutputBytes - this.#outputBytes
    const taken = chunk.length > room ? chunk.subarray(0, room) : chunk
    this.#outputBytes += taken.length
    if (taken.length > 0) this.kept.append(channel, taken)
    if (taken.length < chunk.length && !this.#outputLimited) {
      this.#outputLimited = true
      this.#kill('SIGKILL')
    }
    for (const attachment of this.#attachments) attachment.pump()
    this.#flow()
  }

  /** The child's pipes are read only while every attached caller keeps up, so that nothing piles up here. */
  #flow(): void {
    if (this.#outcome) return
    const paused = !this.#ending && this.#blocked()
    for (const pipe of this.#streams.outputs) {
      if (paused) pipe.pause()
      else pipe.resume()
    }
  }

  #blocked(): boolean {
    return [...this.#attachments].some((attachment) => attachment.blocked)
  }

  async #exited(code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    this.#exitSeen = true
    const killed = this.#timedOut || this.#cancelled || this.#outputLimited
    // What the child left behind gets the grace to write its last words (a tee behind a pipe), unless it was to die.
    if (!killed) await this.#drained(GRACE_MS)
    const family = { leader: this.#pid, tag: this.#sweepStrays() ? this.invocationId : null }
    if (findFamily(family).length > 0) signalFamily(family, 'SIGKILL')
    if (killed) this.#ending = true
    this.#flow()
    await this.#drained(GRACE_MS)
    this.#finish(code, signal, null)
  }

  /** Waits until both pipes have ended, but no longer than `ms` during which they were being read. */
  async #drained(ms: number): Promise<void> {
    for (let left = ms; left > 0 && !this.#pipesEnded; ) {
      await Promise.race([this.#ended, delay(TICK_MS)])
      if (this.#ending || !this.#blocked()) left -= TICK_MS
    }
  }

  #feed(stdin: Buffer | IncomingMessage): void {
    const pipe = this.#streams.input
    if (!pipe) return
    // EPIPE: the command does not want (more) input. Its own business.
    pipe.on('error', () => undefined)
    if (Buffer.isBuffer(stdin)) {
      pipe.end(stdin)
      return
    }
    stdin.pipe(pipe)
    pipe.once('close', () => stdin.resume())
    // Half an input must not look like a whole one: the command could act on it.
    const ifCut = () => {
      if (!stdin.complete && !this.#outcome) this.cancel('SIGKILL')
    }
    if (stdin.destroyed) ifCut()
    else stdin.once('close', ifCut)
  }

  #finish(code: number | null, signal: string | null, spawnError: string | null): void {
    if (this.#outcome) return
    for (const timer of this.#timers) clearTimeout(timer)
    this.#outcome = {
      exit_code: code,
      signal,
      timed_out: this.#timedOut,
      cancelled: this.#cancelled,
      output_limited: this.#outputLimited,
      spawn_error: spawnError,
      duration_ms: Date.now() - this.#started,
      output_bytes: this.#outputBytes,
      replayed: false,
    }
    for (const pipe of [this.#streams.input, ...this.#streams.outputs]) pipe?.destroy()
    for (const attachment of this.#attachments) attachment.pump()
    this.#onDone()
  }
}

/** spawn reports a missing directory as if the program were missing. */
function workingDirectoryProblem(cwd: string): string | null {
  try {
    return statSync(cwd).isDirectory() ? null : 'the working directory is not a directory'
  } catch {
    return 'the working directory does not exist'
  }
}
