import type { Logger } from 'pino'
import {
  type ArtifactView,
  type CatalogView,
  isForeseen,
  type PolicyView,
  type Tool,
  type ToolContext,
  type ToolResult,
  type ToolSandbox,
} from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { allowedRoots } from '../../domain/path.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { Session } from '../../domain/session.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { SandboxLost } from '../../sandbox/sandbox-errors.ts'
import type { Sandboxes } from '../contracts.ts'
import type { InvocationLog } from './invocation-log.ts'
import { LazyToolSandbox } from './lazy-tool-sandbox.ts'
import { makeToolSandbox } from './tool-sandbox.ts'

/** After its deadline a command is killed by host, which tells so; only when that does not come does the gate end the call itself. */
const GRACE_MS = 2000
/** A resumed call has at least this long: what it did before the restart is only asked for, which is quick. */
const RESUMED_MS = 5000

/** What is done instead of the tool's handler: raw files, whose bytes go past the arguments. */
export interface Performance {
  timeoutSeconds: number
  /** Arguments that do not say what will be done: policy is told. Absent: all do. */
  unseen?: readonly string[]
  run(io: {
    invocationId: string
    tool: ToolSandbox
    /** Raw, for what a tool's sandbox does not offer. */
    sandbox: () => Promise<Sandbox>
    roots: string[]
    signal: AbortSignal
  }): Promise<ToolResult<Record<string, unknown>>>
}

export interface Run {
  invocationId: string
  session: Session
  tool: Tool
  args: Record<string, unknown>
  performance: Performance | null
  /** Aborted with a `ToolError`: cancelled. */
  signal: AbortSignal
  /** Aborted when the server stops: what runs is left alone, and nothing more is started. */
  stopped: AbortSignal
  log: InvocationLog
  /** Of the session's secrets. */
  redactor: Redactor
  catalog: CatalogView
  policy: PolicyView
  artifacts: ArtifactView
  /** After a restart: where it ran, and the deadline that it had (ms since the epoch). */
  resumed: { sandbox: Sandbox; generation: number; deadline: number } | null
  /** Awaited before the first operation in a sandbox. `deadline` in ms since the epoch. */
  onSandbox: (generation: number, deadline: number) => Promise<void>
  /** Awaited before something is done that host cannot tell about afterwards. */
  onActsOutside: () => Promise<void>
}

export interface RunnerDependencies {
  sandboxes: Sandboxes
  logger: Pick<Logger, 'error' | 'warn'>
  maxOutputBytes: number
  clock: () => Date
}

/** Runs a tool's handler: sandbox, deadline, retries. Knows nothing of records. */
export class InvocationRunner {
  readonly #deps: RunnerDependencies

  constructor(deps: RunnerDependencies) {
    this.#deps = deps
  }

  /** Throws what the handler threw; `ToolError` `timeout` and `sandbox_lost` after as many retries as the tool allows. */
  async run(run: Run): Promise<ToolResult<Record<string, unknown>>> {
    const { idempotency, constraints } = run.tool.metadata
    const retries = idempotency === 'guaranteed' && run.performance === null ? constraints.max_retries : 0
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(attempt === 0 ? run : { ...run, resumed: null }, attemptId(run.invocationId, attempt))
      } catch (error) {
        const again = error instanceof ToolError && (error.code === 'sandbox_lost' || error.code === 'timeout')
        if (!again || attempt >= retries || run.signal.aborted || run.stopped.aborted) {
          this.#notice(run, error)
          throw error
        }
        run.log.say(`${error.message}: trying once more`)
      }
    }
  }

  /** Tells host that it need not keep what it knows of this invocation. The record is stored; that host is gone is no matter. */
  async acknowledge(sessionId: string, invocationId: string, attempts: number): Promise<void> {
    const running = this.#deps.sandboxes.current(sessionId)
    if (!running) return
    try {
      for (let attempt = 0; attempt < attempts; attempt++) await running.sandbox.acknowledge(attemptId(invocationId, attempt))
    } catch (error) {
      this.#deps.logger.warn({ err: error, invocation_id: invocationId }, 'an outcome could not be acknowledged')
    }
  }

  /** The caller gets the error as it is: that it is not declared is our defect. Raw files declare nothing. */
  #notice({ tool, invocationId, performance }: Run, error: unknown): void {
    if (performance !== null || !(error instanceof ToolError) || isForeseen(error, tool.metadata)) return
    this.#deps.logger.error(
      { err: error, invocation_id: invocationId, tool_name: tool.metadata.name, code: error.code },
      'a tool ended with an error that it does not declare',
    )
  }

  async #attempt(run: Run, id: string): Promise<ToolResult<Record<string, unknown>>> {
    const { session, tool, args } = run
    const overdue = new AbortController()
    const signal = AbortSignal.any([run.signal, overdue.signal])
    const seconds = run.performance?.timeoutSeconds ?? tool.metadata.constraints.timeout_seconds
    let timer: NodeJS.Timeout | undefined
    const arm = (deadline: number) => {
      clearTimeout(timer)
      const error = new ToolError('timeout', `${tool.metadata.name} did not end within ${seconds} s`, { exitCode: 124 })
      timer = setTimeout(() => overdue.abort(error), deadline - this.#now() + GRACE_MS)
    }
    let used: { sandbox: Sandbox; generation: number } | null = null
    const connect = once(async () => {
      // Starting a sandbox, with its setup, takes what it takes: the tool's time begins when there is one.
      clearTimeout(timer)
      run.stopped.throwIfAborted()
      used = run.resumed ?? (await untilAborted(this.#deps.sandboxes.acquire(session.id), signal))
      const deadline = run.resumed ? Math.max(run.resumed.deadline, this.#now() + RESUMED_MS) : this.#now() + seconds * 1000
      await run.onSandbox(used.generation, deadline)
      arm(deadline)
      const toolSandbox = makeToolSandbox({
        sandbox: used.sandbox,
        invocationId: id,
        roots: allowedRoots(session.allowed_paths),
        signal,
        deadline,
        maxOutputBytes: this.#deps.maxOutputBytes,
        redactor: run.redactor,
        onOutput: (channel, chunk) => run.log.output(channel, chunk),
        onOutputCut: () => run.log.cutOff(),
        remembersAnswers: tool.metadata.side_effects !== 'none',
        now: () => this.#now(),
      })
      return { sandbox: used.sandbox, toolSandbox }
    })
    arm(this.#now() + seconds * 1000)
    try {
      const lazy = new LazyToolSandbox(async () => (await connect()).toolSandbox)
      const context: ToolContext = {
        invocation_id: run.invocationId,
        session: {
          id: session.id,
          allowed_paths: session.allowed_paths,
          network: session.network,
          metadata: session.metadata,
          repository: session.repo_url === null ? null : { url: session.repo_url, auth_secret: session.repo_auth_secret },
        },
        principal: session.principal,
        sandbox: lazy,
        catalog: run.catalog,
        policy: run.policy,
        artifacts: run.artifacts,
        signal,
        excerpt: (text, start, end) => run.redactor.excerpt(text, start, end),
        log: (message) => run.log.say(message),
        actsOutside: async () => {
          // A server that stops begins nothing more.
          run.stopped.throwIfAborted()
          signal.throwIfAborted()
          await run.onActsOutside()
        },
      }
      const work =
        run.performance === null
          ? tool.handler(args, context)
          : run.performance.run({
              invocationId: id,
              tool: lazy,
              sandbox: async () => (await connect()).sandbox,
              roots: allowedRoots(session.allowed_paths),
              signal,
            })
      return await untilAborted(work, signal)
    } catch (error) {
      const reached = used as { sandbox: Sandbox; generation: number } | null
      const cause = error instanceof ToolError ? error.cause : error
      // A server that stops lets go of its sandboxes: they are not lost.
      if (cause instanceof SandboxLost && reached && !run.stopped.aborted)
        await this.#deps.sandboxes.lost(session.id, reached.generation, cause.message)
      if (error instanceof SandboxLost) throw new ToolError('sandbox_lost', error.message, { cause: error })
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  #now(): number {
    return this.#deps.clock().getTime()
  }
}

/** Operations are named by this: a second attempt must not find the outcome of the first. */
function attemptId(invocationId: string, attempt: number): string {
  return attempt === 0 ? invocationId : `${invocationId}.${attempt + 1}`
}

/** Rejects with the signal's reason as soon as it is aborted, whatever the work does then. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  // Whoever loses the race may still fail: that is known by the other one's error.
  work.catch(() => undefined)
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
