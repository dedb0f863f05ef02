import { ExecOperation } from './exec/exec-operation.ts'
import { HostFailure } from './host-failure.ts'
import type { OperationOutcome } from './wire.ts'

/** Unacknowledged operations that are remembered, and commands that run at once. */
const MAX_OPERATIONS = 10_000
const MAX_RUNNING = 64
/** Answers that are remembered: one may have so many characters as JSON, and all of them together. */
const MAX_ANSWER = 1024 * 1024
const MAX_ANSWERS = 16 * 1024 * 1024
/** Memory for the output of commands that have ended; the oldest lose theirs first (they keep their outcome). */
const KEPT_BYTES = 64 * 1024 * 1024

interface FileOperation {
  invocationId: string
  done: boolean
  /** Rejects as it did the first time. */
  result: Promise<unknown>
}

/** What a question was answered, a refusal too. `size`: its characters as JSON. */
interface Answer {
  invocationId: string
  question: string
  outcome: { result: object } | { refusal: HostFailure }
  size: number
}

/** Every operation by its id, so that an id has one effect. Remembered until its invocation is acknowledged. */
export class Operations {
  readonly #execs = new Map<string, ExecOperation>()
  readonly #files = new Map<string, FileOperation>()
  readonly #answers = new Map<string, Answer>()
  #ended: ExecOperation[] = []

  get running(): number {
    let count = 0
    for (const operation of this.#execs.values()) if (!operation.outcome) count++
    for (const operation of this.#files.values()) if (!operation.done) count++
    return count
  }

  exec(id: string): ExecOperation | undefined {
    this.#refuseOtherKind(this.#files, id)
    return this.#execs.get(id)
  }

  newExec(id: string, invocationId: string): ExecOperation {
    this.#refuseFull()
    if (this.#runningExecs().length >= MAX_RUNNING)
      throw new HostFailure('too_large', `${MAX_RUNNING} commands run already: wait for one to end`)
    const alone = () => !this.#runningExecs().some((other) => other.invocationId === invocationId && other.id !== id)
    const operation: ExecOperation = new ExecOperation(id, invocationId, alone, () => this.#execEnded(operation))
    this.#execs.set(id, operation)
    return operation
  }

  /**
   * Runs a file operation, or answers what it answered before, refusals too.
   * @param forget which errors mean that nothing happened and the id may be tried again
   */
  async once<T>(
    id: string,
    invocationId: string,
    run: () => T | Promise<T>,
    forget?: (error: unknown) => boolean,
  ): Promise<{ result: T; replayed: boolean }> {
    this.#refuseOtherKind(this.#execs, id)
    const known = this.#files.get(id)
    if (known) return { result: (await known.result) as T, replayed: true }
    this.#refuseFull()
    const operation: FileOperation = { invocationId, done: false, result: new Promise<T>((resolve) => resolve(run())) }
    this.#files.set(id, operation)
    try {
      return { result: (await operation.result) as T, replayed: false }
    } catch (error) {
      if (forget?.(error)) this.#files.delete(id)
      throw error
    } finally {
      operation.done = true
    }
  }

  /**
   * Answers a question, or says again what it answered before: a tool that is run again after its server died must see what it saw
   * the first time, not what it made of it. What is too much to remember is answered afresh.
   */
  async answer(id: string, invocationId: string, question: string, run: () => object | Promise<object>): Promise<object> {
    const known = this.#answers.get(id)
    const outcome = known?.question === question ? known.outcome : await this.#ask(run)
    if (!known) this.#remember(id, { invocationId, question, outcome, size: JSON.stringify(outcome).length })
    if ('refusal' in outcome) throw outcome.refusal
    return outcome.result
  }

  async #ask(run: () => object | Promise<object>): Promise<Answer['outcome']> {
    try {
      return { result: await run() }
    } catch (error) {
      if (error instanceof HostFailure) return { refusal: error }
      throw error
    }
  }

  #remember(id: string, answer: Answer): void {
    const size = [...this.#answers.values()].reduce((sum, other) => sum + other.size, answer.size)
    if (answer.size <= MAX_ANSWER && size <= MAX_ANSWERS && this.#answers.size < MAX_OPERATIONS) this.#answers.set(id, answer)
  }

  /** @param id only this operation; one that is unknown is remembered as cancelled and never starts */
  cancel(invocationId: string, id: string | undefined, signal: NodeJS.Signals): number {
    if (id !== undefined) {
      const known = this.exec(id)
      if (known) return known.cancel(signal)
      this.newExec(id, invocationId).neverStart()
      return 0
    }
    let killed = 0
    for (const operation of this.#runningExecs()) if (operation.invocationId === invocationId) killed += operation.cancel(signal)
    return killed
  }

  outcomes(invocationId: string): OperationOutcome[] {
    const found: OperationOutcome[] = []
    for (const operation of this.#execs.values()) {
      if (operation.invocationId === invocationId)
        found.push({ id: operation.id, invocation_id: invocationId, kind: 'exec', state: operation.outcome ? 'done' : 'running' })
    }
    for (const [id, operation] of this.#files) {
      if (operation.invocationId === invocationId)
        found.push({ id, invocation_id: invocationId, kind: 'file', state: operation.done ? 'done' : 'running' })
    }
    return found
  }

  /** Forgets what has ended of an invocation. What still runs stays. */
  acknowledge(invocationId: string): void {
    for (const [id, operation] of this.#execs)
      if (operation.invocationId === invocationId && operation.outcome) this.#execs.delete(id)
    for (const [id, operation] of this.#files)
      if (operation.invocationId === invocationId && operation.done) this.#files.delete(id)
    for (const [id, answer] of this.#answers) if (answer.invocationId === invocationId) this.#answers.delete(id)
    this.#ended = this.#ended.filter((operation) => this.#execs.has(operation.id))
  }

  killAll(): void {
    for (const operation of this.#execs.values()) operation.killNow()
  }

  #runningExecs(): ExecOperation[] {
    return [...this.#execs.values()].filter((operation) => !operation.outcome)
  }

  #execEnded(operation: ExecOperation): void {
    this.#ended.push(operation)
    let bytes = this.#ended.reduce((sum, ended) => sum + ended.kept.bytes, 0)
    for (const ended of this.#ended) {
      if (bytes <= KEPT_BYTES) break
      if (ended === operation) continue
      bytes -= ended.kept.bytes
      ended.kept.forget()
    }
  }

  #refuseOtherKind(others: Map<string, unknown>, id: string): void {
    if (others.has(id)) throw new HostFailure('invalid_argument', `the id ${id} names an operation of another kind`)
  }

  #refuseFull(): void {
    if (this.#execs.size + this.#files.size >= MAX_OPERATIONS)
      throw new HostFailure('too_large', `${MAX_OPERATIONS} operations wait to be acknowledged`)
  }
}
