import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { LocalArtifactStore } from '../../src/artifacts/local/local-artifact-store.ts'
import { defineTool, type Tool } from '../../src/catalog/define-tool.ts'
import { makeCatalog } from '../../src/catalog/load-catalog.ts'
import { errors, type OwnToolError, ToolError } from '../../src/domain/errors.ts'
import type { Delta, Event } from '../../src/domain/event.ts'
import { type Invocation, InvocationRefused } from '../../src/domain/invocation.ts'
import type { Caller } from '../../src/domain/principal.ts'
import { makeRedactor } from '../../src/domain/redaction.ts'
import { sampleSession } from '../../src/domain/session.sample.ts'
import type { SandboxRecord, Session } from '../../src/domain/session.ts'
import { RulePolicyEngine } from '../../src/policy/rule-policy-engine.ts'
import { ProcessDriver } from '../../src/sandbox/process/process-driver.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { VolumeDirectory } from '../../src/sandbox/volume-directory.ts'
import type { InvokeRequest, Sandboxes } from '../../src/services/contracts.ts'
import { EventLog } from '../../src/services/event-log.ts'
import { ApprovalService } from '../../src/services/invocations/approval-service.ts'
import { ArtifactService } from '../../src/services/invocations/artifact-service.ts'
import { FileService } from '../../src/services/invocations/file-service.ts'
import type { InvocationServiceDependencies } from '../../src/services/invocations/invocation-dependencies.ts'
import { InvocationService } from '../../src/services/invocations/invocation-service.ts'
import { Quota, type QuotaLimits } from '../../src/services/invocations/quota.ts'
import { SqlInvocationStore } from '../../src/store/invocation-store/sql/sql-invocation-store.ts'
import { openSqliteStore } from '../../src/store/sql/open-sqlite-store.ts'
import type { SqlStore } from '../../src/store/sql/sql-store.ts'
import edit from '../../src/tools/fs/edit.ts'
import list from '../../src/tools/fs/list.ts'
import read from '../../src/tools/fs/read.ts'
import search from '../../src/tools/fs/search.ts'
import write from '../../src/tools/fs/write.ts'
import applyPatch from '../../src/tools/git/apply_patch.ts'
import status from '../../src/tools/git/status.ts'
import check from '../../src/tools/policy/check.ts'

const hostBundle = fileURLToPath(new URL('../../dist/host.mjs', import.meta.url))

/** What lists are asked for where pages are not what is tested. */
export const FIRST_PAGE = { limit: 200, cursor: null }

/** The session's secret in tests of the gate. */
export const SECRET = 'swordfish-42/+'

export const alice: Caller & { kind: 'user' } = {
  kind: 'user',
  tenant_id: 'default',
  actor_id: 'alice',
  admin: false,
  tool_roles: ['developer'],
}
export const mallory: Caller = { ...alice, actor_id: 'mallory' }
export const admin: Caller = { ...alice, actor_id: 'root', admin: true }
export const agentOf = (sessionId: string, kind: 'agent' | 'mcp' = 'agent'): Caller => ({
  kind,
  tenant_id: 'default',
  actor_id: 'alice',
  session_id: sessionId,
})

/** Sandboxes over a driver, without setup, for tests: started when needed, never two for one session. */
export class DriverSandboxes implements Sandboxes {
  readonly driver: ProcessDriver
  readonly lostOnes: { sessionId: string; generation: number }[] = []
  /** Set: no sandbox can be started. */
  broken: string | null = null
  starts = 0
  readonly #running = new Map<string, { sandbox: Sandbox; generation: number; record: SandboxRecord }>()
  readonly #starting = new Map<string, Promise<{ sandbox: Sandbox; generation: number }>>()

  constructor(driver: ProcessDriver) {
    this.driver = driver
  }

  current(sessionId: string) {
    return this.#running.get(sessionId) ?? null
  }

  acquire(sessionId: string) {
    const running = this.#running.get(sessionId)
    if (running) return Promise.resolve(running)
    const starting = this.#starting.get(sessionId) ?? this.#start(sessionId).finally(() => this.#starting.delete(sessionId))
    this.#starting.set(sessionId, starting)
    return starting
  }

  async lost(sessionId: string, generation: number) {
    this.lostOnes.push({ sessionId, generation })
    const running = this.#running.get(sessionId)
    if (running?.generation !== generation) return
    this.#running.delete(sessionId)
    await this.driver.stop(running.record, sessionId)
  }

  async redactor(sessionId: string) {
    return makeRedactor(await this.driver.volumes.readSecrets(sessionId))
  }

  /** As after a restart: another server finds what runs. */
  async takenOver(epoch: number): Promise<DriverSandboxes> {
    const next = new DriverSandboxes(this.driver)
    for (const [sessionId, running] of this.#running) {
      const sandbox = await this.driver.find(running.record, sessionId, epoch)
      if (sandbox) next.#running.set(sessionId, { ...running, sandbox })
    }
    return next
  }

  async stopAll() {
    for (const [sessionId, { sandbox, record }] of this.#running) {
      sandbox.disconnect()
      await this.driver.stop(record, sessionId)
    }
    this.#running.clear()
  }

  async #start(sessionId: string) {
    if (this.broken !== null) throw errors.sandboxUnavailable(this.broken)
    const generation = ++this.starts
    const spec = { ...SPEC, session_id: sessionId, generation }
    const { record, sandbox } = await this.driver.start(spec, async () => undefined)
    await sandbox.configure(await this.driver.volumes.readSecrets(sessionId))
    const running = { sandbox, generation, record }
    this.#running.set(sessionId, running)
    return running
  }
}

const SPEC = {
  purpose: 'session',
  uid: null,
  limits: { memory_mb: 512, cpus: 1, pids: 128 },
  network: 'none',
  isolation_floor: 'none',
  epoch: 1,
} as const

const QUOTA: QuotaLimits = { perMinutePerSession: 0, perMinutePerPrincipal: 0, concurrentPerSession: 0 }

export interface GateOptions {
  home: string
  sandboxes?: DriverSandboxes
  quota?: Partial<QuotaLimits>
  clock?: () => Date
  dependencies?: Partial<InvocationServiceDependencies>
  /** Besides those of every gate. */
  tools?: Tool[]
}

/** The services of the gate over a real store, a real catalog and a real host. */
export class Gate {
  readonly store: SqlStore
  readonly sandboxes: DriverSandboxes
  readonly invocations: InvocationService
  readonly approvals: ApprovalService
  readonly files: FileService
  readonly artifacts: ArtifactService
  readonly eventLog: EventLog
  readonly home: string
  /** What was logged as an error. */
  readonly faults: unknown[] = []

  static async open(options: Partial<GateOptions> = {}): Promise<Gate> {
    const home = options.home ?? mkdtempSync(join(tmpdir(), 'cloister-gate-'))
    return new Gate(
      await openSqliteStore(join(home, 'cloister.db')),
      makeCatalog([...REAL_TOOLS, ...TEST_TOOLS, ...(options.tools ?? [])]),
      {
        ...options,
        home,
      },
    )
  }

  constructor(store: SqlStore, catalog: InvocationServiceDependencies['catalog'], options: GateOptions) {
    const { home, clock = () => new Date() } = options
    this.home = home
    this.store = store
    this.eventLog = new EventLog(store, clock)
    this.sandboxes =
      options.sandboxes ??
      new DriverSandboxes(
        new ProcessDriver({ runRoot: join(home, 'run'), volumes: new VolumeDirectory(join(home, 'volumes')), hostBundle }),
      )
    const logger = {
      error: (...entry: unknown[]) => this.faults.push(entry),
      warn: () => undefined,
    } as unknown as InvocationServiceDependencies['logger']
    const artifacts = new LocalArtifactStore(join(home, 'artifacts'))
    this.invocations = new InvocationService({
      store,
      invocationStore: new SqlInvocationStore(store),
      eventLog: this.eventLog,
      artifacts,
      catalog,
      policy: new RulePolicyEngine(),
      sandboxes: this.sandboxes,
      quota: new Quota({ ...QUOTA, ...options.quota }, () => clock().getTime()),
      logger,
      clock,
      approvalTtlSeconds: 3600,
      maxOutputBytes: 4 * 1024 * 1024,
      artifactLimits: { perInvocation: 32, bytesEach: 0, bytesPerSession: 0 },
      ...options.dependencies,
    })
    this.approvals = new ApprovalService({
      store,
      eventLog: this.eventLog,
      invocations: this.invocations,
      sandboxes: this.sandboxes,
      logger,
      clock,
    })
    this.files = new FileService({ invocations: this.invocations, sandboxes: this.sandboxes })
    this.artifacts = new ArtifactService({ invocations: this.invocations, store, artifacts })
  }

  /** A new session of alice's with a volume and a secret. */
  async session(fields: Partial<Session> = {}, secret = SECRET): Promise<Session> {
    const at = new Date().toISOString()
    const session = sampleSession({
      id: `s${Math.random().toString(36).slice(2)}`,
      secret_names: ['TOKEN'],
      created_at: at,
      last_activity_at: at,
      ...fields,
    })
    await this.store.sessions.insert(session)
    await this.sandboxes.driver.volumes.create(session.id, { uid: null, secrets: { TOKEN: secret }, staging: {} })
    return session
  }

  /** A path in the session's workspace, on this machine. */
  path(session: Session, ...parts: string[]): string {
    return join(this.home, 'volumes', session.id, 'volume', 'code', ...parts)
  }

  invoke(
    session: Session,
    tool_name: string,
    args: unknown = {},
    rest: Partial<InvokeRequest> & { caller?: Caller } = {},
  ): Promise<Invocation> {
    const { caller = alice, ...request } = rest
    return this.invocations.invoke(caller, { session_id: session.id, tool_name, args, ...request })
  }

  /** The refusal of a call that must be refused. */
  async refusal(...call: Parameters<Gate['invoke']>): Promise<InvocationRefused> {
    const answer = await this.invoke(...call).catch((error: unknown) => error)
    if (answer instanceof InvocationRefused) return answer
    throw new Error(`not refused: ${JSON.stringify(answer)} ${String(answer)}`)
  }

  events(session: Session): Promise<Event[]> {
    return this.store.events.list(session.id, 0, 1000)
  }

  /** Deltas from now on. */
  deltas(session: Session): Delta[] {
    const seen: Delta[] = []
    this.eventLog.subscribe(session.id, (entry) => {
      if (!('seq' in entry)) seen.push(entry)
    })
    return seen
  }

  /** Everything that is on disk outside of the volumes, as one text. */
  bytesOnDisk(): string {
    const files = readdirSync(this.home, { recursive: true, encoding: 'utf8' }).filter(
      (name) => !name.startsWith('volumes') && !name.startsWith('run'),
    )
    return files
      .map((name) => join(this.home, name))
      .filter((name) => statSync(name).isFile())
      .map((name) => readFileSync(name, 'latin1'))
      .join('\n')
  }

  /** As if the server had been killed: what is under way is forgotten, and another one is there. */
  async restarted(options: Partial<GateOptions> & { withoutSandboxes?: boolean } = {}): Promise<Gate> {
    const sandboxes = options.withoutSandboxes
      ? new DriverSandboxes(this.sandboxes.driver)
      : await this.sandboxes.takenOver(Date.now())
    sandboxes.starts = 1000
    return Gate.open({ ...options, home: this.home, sandboxes })
  }

  async close(): Promise<void> {
    await this.invocations.stop()
    await this.sandboxes.stopAll()
    await this.store.close()
    rmSync(this.home, { recursive: true, force: true, maxRetries: 3 })
  }
}

const run = (
  name: string,
  command: string[],
  fields: { approval?: boolean; timeout?: number; effects?: 'none' | 'reversible'; family?: string } = {},
): Tool =>
  defineTool({
    name,
    description: 'A tool for tests.',
    input: z.object({ text: z.string().default('') }),
    output: z.object({ exit_code: z.int(), stdout: z.string() }),
    scope: 'workspace',
    side_effects: fields.effects ?? 'reversible',
    risk_level: 'low',
    requires_approval: fields.approval ?? false,
    timeout_seconds: fields.timeout ?? 20,
    output_limit_kb: 4,
    primary_output: 'stdout',
    errors: [],
    examples: [],
    async handler({ text }, { sandbox, log }) {
      log(`about to run ${command[0]} ${text}`)
      const { exit_code, stdout } = await sandbox.run([...command, text])
      return {
        output: { exit_code, stdout },
        exit_code,
        artifacts: [{ name: 'out.txt', content_type: 'text/plain', content: stdout }],
      }
    },
  })

const throwing = (name: string, error: () => Error, declared: OwnToolError[] = []): Tool =>
  defineTool({
    name,
    description: 'A tool for tests.',
    input: z.object({}),
    output: z.object({ ok: z.boolean() }),
    scope: 'workspace',
    side_effects: 'reversible',
    risk_level: 'low',
    requires_approval: false,
    timeout_seconds: 5,
    errors: declared,
    examples: [],
    handler: () => Promise.reject(error()),
  })

const sh = (script: string) => ['/bin/sh', '-c', script, 'sh']

const REAL_TOOLS: Tool[] = [edit, list, read, search, write, applyPatch, status, check]

const TEST_TOOLS: Tool[] = [
  run('test.append', sh('echo "$1" >> ran.txt; echo ran "$1"')),
  run('test.approved', sh('echo "$1" >> ran.txt; echo ran "$1"'), { approval: true }),
  run('test.slow', sh('echo started; echo "$1" >> ran.txt; while [ ! -e go ]; do sleep 0.02; done; echo finished')),
  run('test.late', sh('echo begun; sleep 60'), { timeout: 1 }),
  run('test.late_read', sh('echo x >> tries.txt; sleep 60'), { timeout: 1, effects: 'none' }),
  run('test.leak', sh('printf "the token is %s" "$TOKEN"; printf " and %s" "$TOKEN" | base64; echo "$TOKEN" >&2')),
  run('test.loud', sh('i=0; while [ $i -lt 400 ]; do echo "line $i of text"; i=$((i+1)); done')),
  run('test.shout', sh('yes loud | head -c 6000000')),
  run(
    'test.git_commit',
    sh(
      'git init -q . 2>/dev/null; git -c user.name=t -c user.email=t@t commit -q --allow-empty -m x; echo one > a.txt; git add a.txt',
    ),
  ),
  throwing('test.fault', () => new TypeError('boom at /srv/cloister/src/x.ts')),
  throwing(
    'test.fails',
    () => new ToolError('tests_failed', `two tests failed with ${SECRET}`, { output: { note: SECRET }, exitCode: 1 }),
    ['tests_failed'],
  ),
  throwing('test.undeclared', () => new ToolError('not_found', 'nobody said so')),
  throwing('test.link', () => errors.policyDenied('path_scope', 'a link leads out')),
  defineTool({
    name: 'test.misfit',
    description: 'A tool for tests.',
    input: z.object({}),
    output: z.object({ count: z.int() }),
    scope: 'workspace',
    side_effects: 'none',
    risk_level: 'low',
    requires_approval: false,
    timeout_seconds: 5,
    errors: [],
    examples: [],
    handler: async () => ({ output: { count: 'many' as unknown as number } }),
  }),
  defineTool({
    name: 'test.dangerous',
    description: 'A tool for tests.',
    input: z.object({}),
    output: z.object({}),
    scope: 'workspace',
    side_effects: 'irreversible',
    risk_level: 'high',
    requires_approval: true,
    timeout_seconds: 5,
    errors: [],
    examples: [],
    handler: async () => ({ output: {} }),
  }),
  defineTool({
    name: 'test.overwrite',
    description: 'A tool for tests.',
    input: z.object({ overwrite: z.boolean() }),
    output: z.object({}),
    scope: 'workspace',
    side_effects: 'reversible',
    risk_level: 'low',
    requires_approval: false,
    approval_reason: ({ overwrite }) => (overwrite ? 'it overwrites' : null),
    timeout_seconds: 5,
    errors: [],
    examples: [],
    handler: async () => ({ output: {} }),
  }),
]
