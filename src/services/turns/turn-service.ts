import { setTimeout as delay } from 'node:timers/promises'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import { interrupted } from '../../agent/call-result.ts'
import { isDone, type TurnStep } from '../../agent/turn-step.ts'
import type { TurnOutcome } from '../../agent/turn-task.ts'
import { NOTHING_SPENT } from '../../domain/budget.ts'
import { CloisterError, errors } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'
import { MESSAGE_LIMIT, type Message } from '../../domain/message.ts'
import { actorOf, type Caller, type Permission, SYSTEM } from '../../domain/principal.ts'
import { admits, nextState, type Session } from '../../domain/session.ts'
import type { OpenTurn, Page, PageRequest } from '../../store/store.ts'
import { failed, inSpan } from '../../telemetry/tracing.ts'
import { accessibleSession, requirePermission } from '../access.ts'
import type { Turns } from '../contracts.ts'
import type { Emit } from '../event-log.ts'
import type { Quota } from '../invocations/quota.ts'
import { TurnHalt } from './turn-halt.ts'
import { stepEvent } from './turn-history.ts'
import { agentCaller, messageDenied, stepsOf, TurnRunner, type TurnRunnerDependencies } from './turn-runner.ts'

export interface TurnServiceDependencies extends TurnRunnerDependencies {
  /** How often somebody may write to a session. */
  messageQuota: Pick<Quota, 'enter'>
  /** Characters of one message; at most MESSAGE_LIMIT. */
  messageLimit: number
}

/** Messages of one session that may wait for their turn. */
const MAX_QUEUED = 100
/** Pauses, in ms, of a turn that cannot go on because the store is away. */
const OUTAGE_PAUSE = { first: 500, longest: 30_000 }

type Ending = TurnOutcome | { status: 'interrupted'; by: Caller }

/** Who drives a session's turns now: one for each session that has something to do. */
interface Driver {
  /** Of the turn at hand. */
  controller: AbortController
  turn_id: string | null
  /** Somebody kicked meanwhile. */
  again: boolean
  /** Ends pauses, and the driver after its turn. */
  halted: AbortController
  /** Resolves when the turn at hand is over. */
  turnOver: Promise<void>
  done: Promise<void>
}

/** Conversations: queues messages, runs one turn for each, in order, and leaves a log from which a killed server goes on. */
export class TurnService implements Turns {
  readonly #deps: TurnServiceDependencies
  readonly #runner: TurnRunner
  readonly #drivers = new Map<string, Driver>()
  #stopping = false

  constructor(deps: TurnServiceDependencies) {
    this.#deps = deps
    this.#runner = new TurnRunner(deps)
  }

  async post(caller: Caller, sessionId: string, content: string): Promise<{ message: Message; turn_id: string }> {
    const session = await this.#authorized(caller, sessionId, 'session:message')
    if (content.trim() === '') throw invalidContent('must not be empty')
    if (content.length > this.#deps.messageLimit)
      throw invalidContent(`must have at most ${this.#deps.messageLimit} characters, not ${content.length}`)
    const redactor = await this.#deps.sandboxes.redactor(session.id)
    const text = redactor.text(content.toWellFormed())
    // Before policy looks at it: a message that is refused is work too, and an event.
    const admission = this.#deps.messageQuota.enter(session.id, actorOf(caller).id)
    if (!admission.ok) throw errors.rateLimited(admission.reason, admission.retryAfterSeconds)
    admission.release()
    await this.#screen(caller, session, text)
    const at = this.#deps.clock().toISOString()
    const id = newId('msg', this.#deps.clock().getTime())
    const message = await this.#deps.eventLog.transaction(async (tx, emit) => {
      const now = await tx.sessions.get(sessionId)
      if (!now) throw errors.notFound('session')
      const refusal = admits(now, 'message')
      if (refusal) throw refusal
      if ((await tx.messages.queued(sessionId)).length >= MAX_QUEUED)
        throw errors.rateLimited(`${MAX_QUEUED} messages wait already: wait until the agent has answered some`, 60)
      const row = {
        id,
        session_id: sessionId,
        role: 'user' as const,
        content: text,
        turn_id: null,
        usage: null,
      }
      const inserted = await tx.messages.insert({ ...row, created_at: at })
      await tx.sessions.addUsage(sessionId, {}, at)
      await emit(sessionId, 'message.created', actorOf(caller), messageEvent(inserted, turnIdOf(id)))
      return inserted
    })
    this.kick(sessionId)
    return { message, turn_id: turnIdOf(id) }
  }

  /** @throws CloisterError policy_denied, recorded, when policy does not let the caller say it */
  async #screen(caller: Caller, session: Session, text: string): Promise<void> {
    const { messagePolicy, models, eventLog } = this.#deps
    const model = session.model ?? models.default_name
    const refusal = messagePolicy.refuse({ kind: 'message', caller, session, model, text })
    if (!refusal) return
    await eventLog.transaction((_, emit) =>
      emit(session.id, 'message.denied', actorOf(caller), messageDenied('message', text, refusal)),
    )
    throw errors.policyDenied('message_policy', refusal.reason, { policies: refusal.policies })
  }

  async messages(caller: Caller, sessionId: string, page: PageRequest): Promise<Page<Message>> {
    await this.#authorized(caller, sessionId, 'session:get')
    return this.#deps.store.messages.list(sessionId, page)
  }

  async interrupt(caller: Caller, sessionId: string): Promise<Session> {
    const session = await this.#authorized(caller, sessionId, 'session:message')
    const refusal = admits(session, 'message')
    if (refusal) throw refusal
    const asked = await this.#deps.store.transaction(async (tx) => {
      const turn = await tx.turns.ofSession(sessionId)
      if (turn) await tx.turns.update(turn.id, { interrupted: true })
      return turn
    })
    if (asked) {
      this.kick(sessionId)
      const driver = this.#drivers.get(sessionId)
      if (driver && (driver.turn_id === null || driver.turn_id === asked.id)) {
        driver.controller.abort(new TurnHalt('interrupt', caller))
        await driver.turnOver
      }
    }
    return this.#authorized(caller, sessionId, 'session:message')
  }

  kick(sessionId: string): void {
    if (this.#stopping) return
    const running = this.#drivers.get(sessionId)
    if (running) {
      running.again = true
      return
    }
    const driver: Driver = {
      controller: new AbortController(),
      turn_id: null,
      again: false,
      halted: new AbortController(),
      turnOver: Promise.resolve(),
      done: Promise.resolve(),
    }
    this.#drivers.set(sessionId, driver)
    driver.done = this.#drive(sessionId, driver).finally(() => {
      this.#drivers.delete(sessionId)
      if (driver.again) this.kick(sessionId)
    })
  }

  async abandonSession(sessionId: string): Promise<void> {
    const driver = this.#drivers.get(sessionId)
    if (driver) {
      driver.halted.abort()
      driver.controller.abort(new TurnHalt('abandon'))
      await driver.done
    }
    // Nobody drives a turn that an earlier server left: it is ended here.
    const turn = await this.#deps.store.turns.ofSession(sessionId)
    if (!turn) return
    await this.#runner.cancelOpen(sessionId, turn.id, { kind: 'system' })
    await this.#finish(turn, { status: 'interrupted', by: { kind: 'system' } })
  }

  async resume(): Promise<void> {
    for (const turn of await this.#deps.store.turns.all()) this.kick(turn.session_id)
    for (const sessionId of await this.#deps.store.messages.sessionsWithQueued()) this.kick(sessionId)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    const drivers = [...this.#drivers.values()]
    for (const driver of drivers) {
      driver.halted.abort()
      driver.controller.abort(new TurnHalt('stop'))
    }
    await Promise.all(drivers.map((driver) => driver.done))
  }

  /** Runs turns until there are none to run. A store that is away is waited for: the turn goes on from what it has kept. */
  async #drive(sessionId: string, driver: Driver): Promise<void> {
    let pause = OUTAGE_PAUSE.first
    while (!driver.halted.signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      Object.assign(driver, { again: false, controller: new AbortController(), turn_id: null, turnOver: promise })
      try {
        const found = await this.#next(sessionId)
        if (!found) {
          if (driver.again) continue
          return
        }
        driver.turn_id = found.turn.id
        if (driver.halted.signal.aborted) driver.controller.abort(new TurnHalt(this.#stopping ? 'stop' : 'abandon'))
        await this.#run(found.session, found.turn, found.resumed, driver.controller.signal)
        pause = OUTAGE_PAUSE.first
      } catch (error) {
        this.#deps.logger.error({ err: error, session_id: sessionId }, `a turn could not go on; next try in ${pause} ms`)
        // Ended early by a halt, which the loop then sees, and by an interrupt, which the store remembers.
        const wake = AbortSignal.any([driver.halted.signal, driver.controller.signal])
        await delay(pause, undefined, { signal: wake }).catch(() => {})
        pause = Math.min(pause * 2, OUTAGE_PAUSE.longest)
      } finally {
        resolve()
      }
    }
  }

  /** The open turn of a session, or a new one for its oldest waiting message. Null: nothing to do, or not now. */
  #next(sessionId: string): Promise<{ session: Session; turn: OpenTurn; resumed: boolean } | null> {
    const at = this.#deps.clock().toISOString()
    return this.#deps.eventLog.transaction(async (tx, emit) => {
      const session = await tx.sessions.get(sessionId)
      if (!session) return null
      const open = await tx.turns.ofSession(sessionId)
      if (open) return { session, turn: open, resumed: true }
      const [message] = await tx.messages.queued(sessionId)
      const state = nextState(session.state, 'turn_started')
      if (!message || state instanceof CloisterError) return null
      const turn: OpenTurn = {
        id: turnIdOf(message.id),
        session_id: sessionId,
        started_at: at,
        steps: 0,
        interrupted: false,
        transcript: [],
        spent: NOTHING_SPENT,
      }
      await tx.turns.insert(turn)
      await tx.messages.markTaken([message.id], turn.id)
      await tx.sessions.update(sessionId, { state, state_reason: null, last_activity_at: at })
      await emit(sessionId, 'session.state_changed', SYSTEM, { from: session.state, to: state, reason: null })
      await emit(sessionId, 'turn.started', actorOf(agentCaller(session)), { turn_id: turn.id, message_id: message.id })
      return { session: { ...session, state }, turn, resumed: false }
    })
  }

  async #run(session: Session, turn: OpenTurn, resumed: boolean, signal: AbortSignal): Promise<void> {
    const attributes = { 'cloister.session_id': session.id, 'cloister.turn_id': turn.id }
    // A trace of its own: it outlives the request that brought the message, and may be one of many that waited.
    const ending = await inSpan('turn', { parent: ROOT_CONTEXT, attributes }, async (span) => {
      const how = await this.#ending(session, turn, resumed, signal)
      span.setAttribute('cloister.status', how === 'left' ? how : how.status)
      if (how !== 'left' && how.status === 'failed') failed(span, how.kind)
      return how
    })
    if (ending === 'left') return
    if (ending.status === 'interrupted') await this.#runner.cancelOpen(session.id, turn.id, ending.by)
    await this.#finish(turn, ending)
  }

  /** How the turn ended. `left`: it did not, it is the next server's. */
  async #ending(session: Session, turn: OpenTurn, resumed: boolean, signal: AbortSignal): Promise<Ending | 'left'> {
    // Its session was closed, or somebody had asked it to stop, before this server came.
    if (turn.interrupted || session.state !== 'busy') return { status: 'interrupted', by: { kind: 'system' } }
    try {
      return await this.#runner.run(session, turn, resumed, signal)
    } catch (error) {
      const halt = signal.aborted ? signal.reason : error
      if (halt instanceof TurnHalt) return halt.kind === 'stop' ? 'left' : { status: 'interrupted', by: halt.by }
      if (error instanceof CloisterError && error.code !== 'internal') {
        if (error.code === 'store_unavailable') throw error
        const redactor = await this.#deps.sandboxes.redactor(session.id)
        return { status: 'failed', kind: error.code, reason: redactor.text(error.message) }
      }
      this.#deps.logger.error({ err: error, session_id: session.id, turn_id: turn.id }, 'a turn failed')
      return { status: 'failed', kind: 'internal', reason: 'something failed in the server; its log says what' }
    }
  }

  /** Ends a turn for good: the answer or the reason, usage, and the session's state, in one transaction. Does nothing the second time. */
  #finish(given: OpenTurn, ending: Ending): Promise<void> {
    const at = this.#deps.clock().toISOString()
    return this.#deps.eventLog.transaction(async (tx, emit) => {
      const session = await tx.sessions.get(given.session_id)
      const turn = await tx.turns.ofSession(given.session_id)
      if (!session || turn?.id !== given.id) return
      const actor = actorOf(agentCaller(session))
      const steps = stepsOf(turn)
      const last = steps.at(-1)
      if (last && !isDone(last)) await emit(session.id, 'turn.step', actor, stepEvent(turn.id, withoutDanglingCalls(last)))
      const usage = {
        input_tokens: steps.reduce((sum, step) => sum + step.input_tokens, 0),
        output_tokens: steps.reduce((sum, step) => sum + step.output_tokens, 0),
      }
      const say = async (role: 'agent' | 'system', content: string) => {
        const row = {
          id: newId('msg'),
          session_id: session.id,
          role,
          content,
          turn_id: turn.id,
          usage: role === 'agent' ? usage : null,
        }
        const message = await tx.messages.insert({ ...row, created_at: at })
        await emit(session.id, 'message.created', role === 'agent' ? actor : SYSTEM, messageEvent(message, turn.id))
        return message.id
      }
      await tx.turns.remove(turn.id)
      await tx.sessions.addUsage(session.id, { turns: 1 }, at)
      const facts = { turn_id: turn.id, steps: steps.length, usage }
      await this.#tell(session, ending, say, emit, facts)
      const state = nextState(session.state, 'turn_ended')
      // A session that was closed or deleted meanwhile keeps that state.
      if (state instanceof CloisterError) return
      await tx.sessions.update(session.id, { state, state_reason: null })
      await emit(session.id, 'session.state_changed', SYSTEM, { from: session.state, to: state, reason: null })
    })
  }

  async #tell(
    session: Session,
    ending: Ending,
    say: (role: 'agent' | 'system', content: string) => Promise<string>,
    emit: Emit,
    facts: Record<string, unknown>,
  ): Promise<void> {
    const actor = actorOf(agentCaller(session))
    switch (ending.status) {
      case 'completed': {
        const message_id = await say('agent', withinLimit(ending.text))
        if (ending.note) await say('system', `Note: ${ending.note}.`)
        await emit(session.id, 'turn.completed', actor, { ...facts, status: 'completed', message_id })
        return
      }
      case 'limited':
      case 'failed': {
        const { status, reason } = ending
        const message_id = await say('system', `The turn did not finish: ${reason}.`)
        const kind = status === 'failed' ? { kind: ending.kind } : {}
        await emit(session.id, 'turn.completed', actor, { ...facts, status, ...kind, reason, message_id })
        return
      }
      case 'interrupted': {
        const by = actorOf(ending.by)
        await say('system', `The turn was interrupted${by.kind === 'system' ? '' : ` by ${by.id}`}.`)
        await emit(session.id, 'turn.interrupted', by, facts)
      }
    }
  }

  async #authorized(caller: Caller, sessionId: string, permission: Permission): Promise<Session> {
    const session = await accessibleSession(this.#deps.store, caller, sessionId)
    requirePermission(caller, permission)
    return session
  }
}

/** The turn that answers a message has its id: known when the message is posted, and the same after a restart. */
function turnIdOf(messageId: string): string {
  return `trn_${messageId.slice(messageId.indexOf('_') + 1)}`
}

function messageEvent({ id, seq, role, content }: Message, turnId: string): Record<string, unknown> {
  return { message_id: id, seq, role, content, turn_id: turnId }
}

function withoutDanglingCalls(step: TurnStep): TurnStep {
  return { ...step, calls: step.calls.map((call) => ({ ...call, result: call.result ?? interrupted() })) }
}

function withinLimit(text: string): string {
  if (text.length <= MESSAGE_LIMIT) return text
  const note = '\n[cut: the answer was longer than a message may be]'
  return text.slice(0, MESSAGE_LIMIT - note.length).toWellFormed() + note
}

function invalidContent(reason: string): CloisterError {
  return errors.invalidArgument(`content: ${reason}`, [{ path: 'content', reason }])
}
