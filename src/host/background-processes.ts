import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { CommandStdio } from './exec/command-stdio.ts'
import type { Environment } from './exec/environment.ts'
import type { PipePool } from './exec/pipe-pool.ts'
import { preferForOom, signalFamily } from './exec/process-table.ts'
import { HostFailure } from './host-failure.ts'
import type { SessionRoot } from './session-root.ts'
import type { ProcessInfo, ProcessOutput, ProcessStart } from './wire.ts'

const MAX_RUNNING = 64
const MAX_REMEMBERED = 256
const TAIL_BYTES = 1024 * 1024
const ANSWER_BYTES = 256 * 1024
const STOP_WAIT_MS = 2_000
/** What is killed ends; on a busy machine not at once. */
const KILL_WAIT_MS = 10_000

interface Background {
  info: ProcessInfo
  requestId: string
  tag: string
  pid: number
  chunks: Buffer[]
  /** Offset of the first kept byte, and of the end. */
  start: number
  end: number
  ended: Promise<void>
}

/**
 * Processes that outlive the invocation that started them: servers, watchers. Each has a group and a tag of its own, so that
 * neither the end nor a cancel of that invocation reaches them.
 */
export class BackgroundProcesses {
  readonly #pool: PipePool
  readonly #root: SessionRoot
  readonly #environment: Environment
  readonly #processes = new Map<string, Background>()
  /** By request id. */
  readonly #starting = new Map<string, Promise<ProcessInfo>>()
  #count = 0

  constructor(root: SessionRoot, environment: Environment, pool: PipePool) {
    this.#pool = pool
    this.#root = root
    this.#environment = environment
  }

  /** The same request id again: the same process. Throws `not_found` when the program cannot be started. */
  async start(request: ProcessStart): Promise<ProcessInfo> {
    const known = this.#starting.get(request.id)
    if (known) return known
    const starting = this.#start(request)
    this.#starting.set(request.id, starting)
    // What could not be started may be tried again.
    starting.catch(() => this.#starting.delete(request.id))
    return starting
  }

  async #start(request: ProcessStart): Promise<ProcessInfo> {
    this.#makeRoom()
    const processId = `p${++this.#count}`
    const tag = `${processId}:${request.id}`
    const stdio = await CommandStdio.open(this.#pool, false)
    const child = this.#spawn(request, tag, stdio)
    const { outputs } = stdio.streams(child)
    if (child.pid === undefined) throw notStarted(await new Promise<Error>((resolve) => child.once('error', resolve)))
    preferForOom(child.pid)
    const info: ProcessInfo = {
      process_id: processId,
      command: request.argv.join(' ').slice(0, 4096),
      state: 'running',
      exit_code: null,
      started_at: new Date().toISOString(),
    }
    const background: Background = {
      info,
      requestId: request.id,
      tag,
      pid: child.pid,
      chunks: [],
      start: 0,
      end: 0,
      ended: Promise.resolve(),
    }
    background.ended = this.#follow(background, child, outputs)
    this.#processes.set(processId, background)
    return info
  }

  list(): ProcessInfo[] {
    return [...this.#processes.values()].map((background) => background.info)
  }

  /**
   * At most 256 KiB from offset `after`. A character that is cut by the end of what is there so far comes with the next call.
   * @param wholeLines nothing but whole lines, so that no choice of offsets shows a part of one; of a line that is longer than an
   *   answer nothing is shown
   */
  output(processId: string, after: number, wholeLines: boolean): ProcessOutput {
    const background = this.#get(processId)
    const { start, end, info } = background
    const kept = Buffer.concat(background.chunks)
    let from = Math.min(Math.max(after, start), end)
    if (wholeLines) from = start + lineStart(kept, from - start, start === 0, info.state === 'exited')
    let bytes = kept.subarray(from - start, from - start + ANSWER_BYTES)
    const more = from + bytes.length < end || info.state === 'running'
    let skipped = 0
    if (more && wholeLines) {
      const whole = bytes.lastIndexOf(0x0a) + 1
      if (whole === 0 && bytes.length === ANSWER_BYTES) skipped = bytes.length
      bytes = bytes.subarray(0, whole)
    } else if (more) bytes = bytes.subarray(0, bytes.length - incompleteTail(bytes))
    return {
      text: bytes.toString('utf8'),
      next: from + bytes.length + skipped,
      dropped_bytes: Math.max(0, from - after) + skipped,
      state: info.state,
    }
  }

  /** Signals the process and all that it started; waits up to 2 s, for SIGKILL 10 s. `stopped`: it has ended. */
  async stop(processId: string, signal: NodeJS.Signals): Promise<{ stopped: boolean }> {
    const background = this.#get(processId)
    if (background.info.state === 'exited') return { stopped: true }
    signalFamily({ leader: background.pid, tag: background.tag }, signal)
    let timer: NodeJS.Timeout | undefined
    const waited = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, signal === 'SIGKILL' ? KILL_WAIT_MS : STOP_WAIT_MS)
    })
    await Promise.race([background.ended, waited])
    clearTimeout(timer)
    return { stopped: this.#get(processId).info.state === 'exited' }
  }

  killAll(): void {
    for (const background of this.#processes.values()) {
      if (background.info.state === 'running') signalFamily({ leader: background.pid, tag: background.tag }, 'SIGKILL')
    }
  }

  #spawn(request: ProcessStart, tag: string, stdio: CommandStdio): ChildProcess {
    try {
      return spawn(request.argv[0] as string, request.argv.slice(1), {
        cwd: this.#root.workingDirectory(request.cwd ?? '/session/code'),
        env: this.#environment.compose(tag, request.env ?? {}, request.secrets ?? true),
        detached: true,
        stdio: stdio.entries,
      })
    } catch (error) {
      stdio.discard()
      throw error instanceof HostFailure ? error : notStarted(error)
    }
  }

  #follow(background: Background, child: ChildProcess, outputs: Readable[]): Promise<void> {
    for (const pipe of outputs) pipe.on('data', (chunk: Buffer) => keep(background, chunk))
    return new Promise((resolve) => {
      child.once('exit', (code) => {
        background.info.exit_code = code
        // What it left in its group or took out of it has nobody to answer for it any more.
        signalFamily({ leader: background.pid, tag: background.tag }, 'SIGKILL')
        background.info.state = 'exited'
        resolve()
      })
    })
  }

  #get(processId: string): Background {
    const background = this.#processes.get(processId)
    if (!background) throw new HostFailure('not_found', `there is no process ${JSON.stringify(processId)}`)
    return background
  }

  #makeRoom(): void {
    const all = [...this.#processes.values()]
    const running = all.filter((background) => background.info.state === 'running').length
    if (running >= MAX_RUNNING) throw new HostFailure('too_large', `${MAX_RUNNING} background processes run already: stop one`)
    const oldest = all.find((background) => background.info.state === 'exited')
    if (all.length >= MAX_REMEMBERED && oldest) {
      this.#processes.delete(oldest.info.process_id)
      this.#starting.delete(oldest.requestId)
    }
  }
}

/** Where the first line begins at or after `from`. In a line of which no end came yet: `from`, or the end when none will come. */
function lineStart(kept: Buffer, from: number, complete: boolean, ended: boolean): number {
  if (from === 0 ? complete : kept[from - 1] === 0x0a) return from
  const end = kept.indexOf(0x0a, from)
  if (end !== -1) return end + 1
  return ended ? kept.length : from
}

function notStarted(error: unknown): HostFailure {
  return new HostFailure(
    'not_found',
    `the process could not be started: ${error instanceof Error ? error.message : String(error)}`,
  )
}

function keep(background: Background, chunk: Buffer): void {
  // Many small chunks would cost more than their bytes.
  const last = background.chunks.at(-1)
  if (last && last.length + chunk.length <= 16 * 1024)
    background.chunks[background.chunks.length - 1] = Buffer.concat([last, chunk])
  else background.chunks.push(chunk)
  background.end += chunk.length
  while (background.end - background.start > TAIL_BYTES) {
    const excess = background.end - background.start - TAIL_BYTES
    const first = background.chunks[0] as Buffer
    if (first.length <= excess) background.chunks.shift()
    else background.chunks[0] = first.subarray(excess)
    background.start += Math.min(first.length, excess)
  }
}

/** Bytes at the end that begin a UTF-8 character and do not finish it. */
function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? back : 0
  }
  return 0
}
