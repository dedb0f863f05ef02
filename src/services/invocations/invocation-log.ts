import { StringDecoder } from 'node:string_decoder'
import type { LogLine } from '../../domain/invocation.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { SecretStream } from '../../domain/secret-matcher.ts'
import type { Store } from '../../store/store.ts'
import type { EventLog } from '../event-log.ts'

/** Characters of log that are kept as lines in the database; a longer log is also kept whole, as an artifact. */
const INLINE_LIMIT = 1024 * 1024
/** A line longer than this, in characters, is broken. */
const LONGEST_LINE = 16 * 1024
const BATCH_LINES = 200
const BATCH_MS = 100

type Channel = LogLine['channel']

export interface InvocationLogOptions {
  invocationId: string
  sessionId: string
  store: Store
  eventLog: EventLog
  redactor: Redactor
  clock: () => Date
  /** A batch could not be written. */
  onError: (error: unknown) => void
  /** Lines that are stored already, from before a restart: the replayed output repeats them. */
  stored?: LogLine[]
}

/** What was said while an invocation ran: redacted as it streams, shown at once, stored line by line in batches. */
export class InvocationLog {
  readonly #options: InvocationLogOptions
  readonly #streams = new Map<Channel, { decoder: StringDecoder; secrets: SecretStream<string>; rest: string }>()
  readonly #skip: Record<Channel, number> = { stdout: 0, stderr: 0, cloister: 0 }
  #pending: LogLine[] = []
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> = Promise.resolve()
  #inlineLeft = INLINE_LIMIT
  #overflowed = false
  #abandoned = false
  #whole: string[] = []

  constructor(options: InvocationLogOptions) {
    this.#options = options
    for (const { channel } of options.stored ?? []) this.#skip[channel]++
  }

  output(channel: 'stdout' | 'stderr', chunk: Buffer): void {
    const stream = this.#stream(channel)
    this.#take(channel, stream.secrets.push(stream.decoder.write(chunk)))
  }

  /** What came on both channels may end within a value, whose rest never comes: what is held back as a possible beginning is let go. */
  cutOff(): void {
    for (const stream of this.#streams.values()) {
      stream.decoder = new StringDecoder('utf8')
      stream.secrets = this.#options.redactor.stream()
    }
  }

  /** A line of the gate's or the tool's own; of one that is too long, which a stranger's server may have sent, the beginning. */
  say(message: string): void {
    const text = this.#options.redactor.text(message)
    this.#take('cloister', `${text.slice(0, LONGEST_LINE).toWellFormed()}\n`)
  }

  /** Writes what is left. Answers with the whole log when it was too long to be kept in the database. */
  async close(): Promise<string | null> {
    for (const [channel, { decoder, secrets }] of this.#streams) {
      this.#take(channel, secrets.push(decoder.end()) + secrets.end())
      const stream = this.#stream(channel)
      if (stream.rest !== '') this.#line(channel, stream.rest)
      stream.rest = ''
    }
    this.#flush()
    await this.#writing
    return this.#overflowed ? this.#whole.join('') : null
  }

  /**
   * The invocation goes on without this server: whole lines are written, and what comes now or is the beginning of one comes again
   * when it is replayed.
   */
  async abandon(): Promise<void> {
    this.#abandoned = true
    this.#flush()
    await this.#writing
  }

  #stream(channel: Channel) {
    let stream = this.#streams.get(channel)
    if (!stream) {
      stream = { decoder: new StringDecoder('utf8'), secrets: this.#options.redactor.stream(), rest: '' }
      this.#streams.set(channel, stream)
    }
    return stream
  }

  #take(channel: Channel, text: string): void {
    if (text === '' || this.#abandoned) return
    const { eventLog, sessionId, invocationId } = this.#options
    if (this.#skip[channel] === 0) eventLog.delta(sessionId, 'invocation.output', { invocation_id: invocationId, channel, text })
    const stream = this.#stream(channel)
    const lines = (stream.rest + text).split('\n')
    stream.rest = lines.pop() ?? ''
    for (const line of lines) this.#line(channel, line)
    while (stream.rest.length > LONGEST_LINE) {
      this.#line(channel, stream.rest.slice(0, LONGEST_LINE))
      stream.rest = stream.rest.slice(LONGEST_LINE)
    }
  }

  #line(channel: Channel, text: string): void {
    for (let at = 0; at === 0 || at < text.length; at += LONGEST_LINE) {
      const message = text.slice(at, at + LONGEST_LINE)
      this.#whole.push(`${message}\n`)
      if (this.#inlineLeft < message.length) this.#overflowed = true
      if (this.#overflowed) continue
      this.#inlineLeft -= message.length + 1
      if (this.#skip[channel] > 0) {
        this.#skip[channel]--
        continue
      }
      this.#pending.push({ at: this.#options.clock().toISOString(), channel, message })
    }
    if (this.#pending.length >= BATCH_LINES) this.#flush()
    else if (this.#pending.length > 0) this.#timer ??= setTimeout(() => this.#flush(), BATCH_MS).unref()
  }

  #flush(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#pending.length === 0) return
    const { store, invocationId, onError } = this.#options
    const lines = this.#pending
    this.#pending = []
    this.#writing = this.#writing.then(() => store.logs.append(invocationId, lines)).catch(onError)
  }
}
