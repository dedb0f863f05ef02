import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { Registry } from 'prom-client'
import packageJson from '../package.json' with { type: 'json' }
import { ModelProviders } from './agent/model-provider.ts'
import { LocalArtifactStore } from './artifacts/local/local-artifact-store.ts'
import type { Catalog } from './catalog/catalog.ts'
import { LiveCatalog } from './catalog/live-catalog.ts'
import { loadCatalog } from './catalog/load-catalog.ts'
import { offeredTools } from './catalog/offered-tools.ts'
import { type Config, ConfigError, loadConfig, namedVariables, prepareHome } from './config.ts'
import { connectorsOf } from './config-connectors.ts'
import { connectorTools } from './connectors/connector-tools.ts'
import { HttpConnectorClient } from './connectors/http/http-client.ts'
import { StdioConnectorClient } from './connectors/stdio/stdio-client.ts'
import type { Budgets } from './domain/budget.ts'
import { CloisterError } from './domain/errors.ts'
import type { ToolMetadata } from './domain/tool.ts'
import { buildApp } from './http/app.ts'
import { createLogger } from './http/logger.ts'
import { McpEndpoint } from './mcp/mcp-endpoint.ts'
import { Reconciler } from './operator/reconciler.ts'
import { PolicySetError } from './policy/cedar/policy-files.ts'
import { type ComposedPolicy, composePolicy } from './policy/compose-policy.ts'
import { describedTools } from './policy/offline/described-tools.ts'
import { OfflineDecider } from './policy/offline/offline-decider.ts'
import { BubblewrapDriver } from './sandbox/bubblewrap/bubblewrap-driver.ts'
import { closeInheritedDescriptors } from './sandbox/bubblewrap/inherited-descriptors.ts'
import { ProcessDriver } from './sandbox/process/process-driver.ts'
import type { DriverCheck, SandboxDriver } from './sandbox/sandbox-driver.ts'
import { VolumeDirectory } from './sandbox/volume-directory.ts'
import { AuthService } from './services/auth/auth-service.ts'
import { readOrCreateSecretFile } from './services/auth/secret-file.ts'
import { ConnectorService, type ConnectorServiceDependencies } from './services/connectors/connector-service.ts'
import { ThrowawaySandboxes } from './services/connectors/throwaway-sandbox.ts'
import { EventLog } from './services/event-log.ts'
import { ApprovalService } from './services/invocations/approval-service.ts'
import { ArtifactService } from './services/invocations/artifact-service.ts'
import { FileService } from './services/invocations/file-service.ts'
import { InvocationService } from './services/invocations/invocation-service.ts'
import { Quota } from './services/invocations/quota.ts'
import { CodeSources } from './services/sessions/code-sources.ts'
import { Provisioner } from './services/sessions/provisioner.ts'
import { RetentionService } from './services/sessions/retention-service.ts'
import { SandboxService } from './services/sessions/sandbox-service.ts'
import { SessionService } from './services/sessions/session-service.ts'
import { TurnService } from './services/turns/turn-service.ts'
import { MemoryInvocationStore } from './store/invocation-store/memory/memory-invocation-store.ts'
import { SqlInvocationStore } from './store/invocation-store/sql/sql-invocation-store.ts'
import { ValkeyInvocationStore } from './store/invocation-store/valkey/valkey-invocation-store.ts'
import { takeServerLock } from './store/server-lock.ts'
import { openSqliteStore } from './store/sql/open-sqlite-store.ts'
import type { SqlStore } from './store/sql/sql-store.ts'
import type { InvocationStore } from './store/store.ts'
import { startTracing } from './telemetry/start-tracing.ts'

/** The composition root: it alone constructs concrete stores, drivers and providers. */

const HOST_BUNDLE = fileURLToPath(new URL('../dist/host.mjs', import.meta.url))
const CONNECTOR_BRIDGE = fileURLToPath(new URL('../dist/connector-bridge.mjs', import.meta.url))
/** How long a connector's server may take to start and to list its tools, in ms. */
const CONNECTOR_LIST_MS = 60_000
/** The generated password of the first admin, for the CLI on the same machine. */
export const ADMIN_PASSWORD_FILE = 'admin-password'
/** A login is good for so long, in seconds. */
const LOGIN_TTL = 12 * 3600
const OPERATOR_INTERVAL_MS = 5000
/** A model that sends nothing for so long is asked again. */
const MODEL_STALL_MS = 120_000

/**
 * Runs the server until a signal ends it. What stops it from starting is one line on standard error, and exit code 2 for a setting
 * that cannot be used, 7 for anything else.
 */
export async function startServer(): Promise<void> {
  // Before anything else: what this process inherited must reach no sandbox, and what it makes is private.
  closeInheritedDescriptors()
  process.umask(0o077)
  try {
    const config = loadConfig()
    const server = await composeServer(config)
    process.stdout.write(`Cloister ${packageJson.version} listens on ${server.url}\n`)
    const stop = once(async () => {
      process.stdout.write('Cloister stops; sessions stay as they are\n')
      await server.stop()
    })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop())
    process.on('SIGHUP', () => server.reloadPolicy())
  } catch (error) {
    process.stderr.write(`cloister: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = error instanceof ConfigError ? 2 : 7
  }
}

export interface RunningServer {
  /** With the port that was really taken. */
  url: string
  /** Ends the server in order: sessions and their sandboxes stay as they are. */
  stop(): Promise<void>
  /** Reads the policies again. A set that cannot be used is logged, and the old one stays. */
  reloadPolicy(): void
}

/** @throws ConfigError, or an Error that says in one line why the server cannot start */
export async function composeServer(config: Config): Promise<RunningServer> {
  prepareHome(config.CLOISTER_HOME)
  const lock = takeServerLock(config.CLOISTER_HOME)
  const clock = () => new Date()
  const logger = createLogger(config.LOG_LEVEL)

  const tracing = await startTracing({ endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT, version: packageJson.version })
  const driver = makeDriver(config)
  // A sandbox is tried while the tools are loaded.
  const [check, shipped] = await Promise.all([driver.check(), loadCatalog()])
  if (!check.usable) throw new Error(`the ${driver.kind} sandbox cannot be used here. ${explain(check)}`)
  if (driver.kind === 'process')
    logger.warn('CLOISTER_SANDBOX=process: sessions are not isolated from this machine. For development only.')

  const store = await openSqliteStore(join(config.CLOISTER_HOME, 'cloister.db'))
  const invocationStore = await makeInvocationStore(config, store)
  const artifacts = new LocalArtifactStore(config.ARTIFACT_ROOT)
  const eventLog = new EventLog(store, clock)
  const catalog = new LiveCatalog(offeredTools(shipped, { CLOISTER_SHELL: config.CLOISTER_SHELL }))
  const isRoot = process.getuid?.() === 0
  const uids = isRoot && driver.kind !== 'process' ? config.CLOISTER_UID_RANGE : null
  const limits = { memory_mb: config.CLOISTER_MEMORY_MB, cpus: config.CLOISTER_CPUS, pids: config.CLOISTER_PIDS }
  const { connectors, httpConnectors } = composeConnectors({
    config,
    shipped,
    catalog,
    store,
    // The last uid is no session's.
    throwaways: new ThrowawaySandboxes({ driver, uid: uids?.last ?? null, limits, epoch: lock.epoch }),
    policy: {
      checkTools: (tools) => policy.checkTools(tools),
      replaceTools: (tools) => policy.replaceTools(tools),
    },
    clock,
    logger,
  })
  await connectors.load()
  const policy: ComposedPolicy = loadPolicy(config, catalog)
  const models = new ModelProviders({
    default_model: config.CLOISTER_MODEL ?? null,
    anthropic: config.ANTHROPIC_API_KEY
      ? { api_key: config.ANTHROPIC_API_KEY, base_url: config.ANTHROPIC_BASE_URL ?? null }
      : null,
    openai: config.OPENAI_API_KEY ? { api_key: config.OPENAI_API_KEY, base_url: config.OPENAI_BASE_URL ?? null } : null,
    compat: config.CLOISTER_COMPAT_BASE_URL
      ? { api_key: config.CLOISTER_COMPAT_API_KEY ?? null, base_url: config.CLOISTER_COMPAT_BASE_URL }
      : null,
    scripts_folder: config.CLOISTER_SCRIPTS ?? null,
    settings: config.CLOISTER_CONFIG.models,
  })
  models.resolve(null)
  checkFallbacks(config, models)
  const budgets = budgetsOf(config)

  // The services know each other by interface; where two need each other, one is reached through a closure.
  const sources = new CodeSources({
    sourceRoots: config.CLOISTER_SOURCE_ROOTS,
    ownDirectories: [config.CLOISTER_HOME, config.WORKSPACE_ROOT, config.ARTIFACT_ROOT],
    repoHosts: config.CLOISTER_REPO_HOSTS,
  })
  const provisioner = new Provisioner({
    volumes: driver.volumes,
    invocations: { recordSystem: (...step) => invocations.recordSystem(...step) },
    sources,
  })
  const sandboxes = new SandboxService({
    store,
    eventLog,
    driver,
    provisioner,
    epoch: lock.epoch,
    logger,
    onIdle: (sessionId) => turns.kick(sessionId),
  })
  const invocations: InvocationService = new InvocationService({
    store,
    invocationStore,
    eventLog,
    artifacts,
    catalog,
    policy: policy.engine,
    sandboxes,
    quota: new Quota({
      perMinutePerSession: config.WORKSPACE_RATE_LIMIT_PER_MINUTE,
      perMinutePerPrincipal: config.WORKSPACE_RATE_LIMIT_PER_MINUTE_PER_PRINCIPAL,
      concurrentPerSession: config.WORKSPACE_MAX_CONCURRENCY_PER_SESSION,
    }),
    maxOutputBytes: config.WORKSPACE_MAX_OUTPUT_BYTES_PER_INVOCATION,
    artifactLimits: {
      perInvocation: config.WORKSPACE_MAX_ARTIFACTS_PER_INVOCATION,
      bytesEach: config.WORKSPACE_MAX_ARTIFACT_BYTES,
      bytesPerSession: config.WORKSPACE_MAX_ARTIFACT_BYTES_PER_SESSION,
    },
    approvalTtlSeconds: config.CLOISTER_APPROVAL_TTL_SECONDS,
    clock,
    logger,
  })
  const approvals = new ApprovalService({ store, eventLog, invocations, sandboxes, logger, clock })
  const turns: TurnService = new TurnService({
    store,
    eventLog,
    invocations,
    sandboxes,
    models,
    messagePolicy: policy.messages,
    messageQuota: new Quota(
      { perMinutePerSession: config.WORKSPACE_MESSAGES_PER_MINUTE, perMinutePerPrincipal: 0, concurrentPerSession: 0 },
      Date.now,
      'messages',
    ),
    messageLimit: config.WORKSPACE_MAX_MESSAGE_CHARACTERS,
    budgets,
    stallMs: MODEL_STALL_MS,
    retry: { max_attempts: 6, base_ms: 1000, max_ms: 60_000, random: Math.random },
    clock,
    logger,
  })
  const sessions = new SessionService({
    store,
    eventLog,
    volumes: driver.volumes,
    sandboxes,
    sources,
    invocations,
    turns,
    resolveModel: (name) => models.resolve(name),
    isolation: async () => check.isolation,
    limits,
    budgets,
    idleTimeoutSeconds: config.CLOISTER_IDLE_TIMEOUT_SECONDS,
    allowHostNetwork: config.CLOISTER_ALLOW_HOST_NETWORK && config.CLOISTER_AUTH !== 'payload',
    uidRange: uids && { first: uids.first, last: uids.last - 1 },
    clock,
    logger,
  })
  const files = new FileService({ invocations, sandboxes })
  const auth = new AuthService({
    store,
    clock,
    jwtSecret: config.CLOISTER_JWT_SECRET
      ? new TextEncoder().encode(config.CLOISTER_JWT_SECRET)
      : await readOrCreateSecretFile(join(config.CLOISTER_HOME, 'jwt-secret')),
    tokenTtlSeconds: LOGIN_TTL,
    externalPrincipals: config.CLOISTER_AUTH !== 'token',
  })
  const retention = new RetentionService({ store, eventLog, artifacts, days: config.CLOISTER_RETENTION_DAYS ?? null, logger })
  const reconciler = new Reconciler({
    store,
    sessions,
    sandboxes,
    approvals,
    invocations,
    turns,
    retention,
    volumes: driver.volumes,
    clock,
    logger,
    intervalMs: OPERATOR_INTERVAL_MS,
  })
  const mcp = new McpEndpoint({
    invocations,
    artifacts: new ArtifactService({ invocations, store, artifacts }),
    eventLog,
    logger,
    version: packageJson.version,
  })
  const app = buildApp({
    sessions,
    invocations,
    approvals,
    turns,
    files,
    connectors,
    auth,
    eventLog,
    mcp,
    config,
    readiness: {
      store: () => store.ping(),
      invocation_store: () => invocationStore.ping(),
      sandbox: () => requireUsable(driver),
    },
    countSessions: () => store.sessions.countByState(),
    countConnectors: () => connectors.countByState(),
    metrics: new Registry(),
    logger,
    version: packageJson.version,
  })

  if (config.CLOISTER_AUTH === 'token') await ensureAdmin(auth, config)
  // First what a killed server left, then what is new.
  await sandboxes.adopt()
  await reconciler.sweepVolumes()
  const url = await app.listen({ host: config.HOST, port: config.PORT })
  await invocations.resume()
  await turns.resume()
  reconciler.start()

  return {
    url,
    reloadPolicy: () => reloadPolicy(policy, logger),
    stop: async () => {
      await reconciler.stop()
      // Together: a request that waits for a long call is answered once the call is left to the next server.
      await Promise.all([app.close(), turns.stop().then(() => invocations.stop())])
      await Promise.all([sandboxes.disconnect(), httpConnectors.close()])
      await invocationStore.close()
      await store.close()
      await tracing.stop()
      lock.release()
    },
  }
}

/**
 * Deciding without a server: the rules of this version, its catalog, and the policies of a folder (null: those that it comes with).
 * @param listed tools that a server listed, of which those of connectors count
 * @throws PolicySetError
 */
export async function offlinePolicy(folder: string | null, listed: readonly ToolMetadata[] = []): Promise<OfflineDecider> {
  const own = (await loadCatalog()).list()
  const ofConnectors = describedTools(listed)
  const { engine } = composePolicy(
    { folder, opa: null },
    [...own, ...ofConnectors].map(({ metadata }) => metadata),
  )
  return new OfflineDecider(engine, [
    ...ofConnectors,
    ...own.map(({ metadata, input, approvalReason }) => ({
      metadata,
      approvalReason,
      parse: (args: Record<string, unknown>) => {
        const parsed = input.safeParse(args)
        if (parsed.success) return { args: parsed.data }
        return { problem: parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'args'}: ${message}`).join('; ') }
      },
    })),
  ])
}

export { PolicySetError } from './policy/cedar/policy-files.ts'
export { readDescribedTools } from './policy/offline/described-tools.ts'
export { readPolicyTests, runPolicyTests } from './policy/offline/policy-tests.ts'
export { replay } from './policy/offline/replay.ts'

/** What the configured sandbox driver needs, and would attest on this machine. */
export async function doctor(config: Config = loadConfig()): Promise<DriverCheck[]> {
  prepareHome(config.CLOISTER_HOME)
  return [await makeDriver(config).check()]
}

interface ConnectorParts {
  config: Config
  /** All tools of Cloister's own, whether they are offered or not. */
  shipped: Catalog
  catalog: LiveCatalog
  store: SqlStore
  throwaways: ThrowawaySandboxes
  policy: ConnectorServiceDependencies['policy']
  clock: () => Date
  logger: Logger
}

/** @throws ConfigError for a connector that cannot be one */
function composeConnectors({ config, shipped, throwaways, ...parts }: ConnectorParts) {
  const declared = connectorsOf(config.CLOISTER_CONFIG.connectors)
  const families = new Set(['session', ...shipped.list().map(({ metadata }) => metadata.family)])
  const taken = declared.find(({ name }) => families.has(name))
  if (taken)
    throw new ConfigError(`CLOISTER_CONFIG: connectors.${taken.name}: Cloister's own tools have this family: choose another name`)
  const variables = namedVariables(
    declared.flatMap(({ source }) => (source.kind === 'http' ? Object.values(source.headers) : [])),
  )
  const stdioConnectors = new StdioConnectorClient()
  const httpConnectors = new HttpConnectorClient((variable) => variables.get(variable) ?? '')
  const connectors: ConnectorService = new ConnectorService({
    ...parts,
    connectors: declared,
    askForTools: (connector, urgent) => {
      if (connector.source.kind === 'http') return httpConnectors.list(connector, CONNECTOR_LIST_MS)
      const network = connector.source.network && config.CLOISTER_ALLOW_HOST_NETWORK ? 'host' : 'none'
      return throwaways.run({ network, timeout_ms: CONNECTOR_LIST_MS, urgent }, (sandbox, name) =>
        stdioConnectors.list(connector, sandbox, name, CONNECTOR_LIST_MS),
      )
    },
    makeTools: (connector, listed, refused) =>
      connectorTools(connector, listed, refused, {
        client: connector.source.kind === 'http' ? httpConnectors : stdioConnectors,
        onOtherList: (...seen) => connectors.observe(...seen),
      }),
  })
  return { connectors, httpConnectors }
}

function loadPolicy(config: Config, catalog: Catalog): ComposedPolicy {
  const { CLOISTER_POLICY: folder = null, CLOISTER_OPA_URL: url, CLOISTER_OPA_TIMEOUT_MS: timeoutMs } = config
  const tools = catalog.list().map(({ metadata }) => metadata)
  try {
    return composePolicy({ folder, opa: url === undefined ? null : { url, timeoutMs } }, tools)
  } catch (error) {
    if (!(error instanceof PolicySetError)) throw error
    throw new ConfigError(`CLOISTER_POLICY=${JSON.stringify(folder)}: ${error.message.replaceAll('\n', '; ')}`)
  }
}

function reloadPolicy(policy: ComposedPolicy, logger: Pick<Logger, 'info' | 'error'>): void {
  try {
    policy.reload()
    const { ids, digest } = policy.policies
    logger.info({ policies: ids.length, digest, policy_version: policy.engine.version }, 'the policies were read again')
  } catch (error) {
    if (!(error instanceof PolicySetError)) throw error
    logger.error({ problems: error.problems }, `the policies were not taken, those from before stay: ${error.message}`)
  }
}

function makeDriver(config: Config): SandboxDriver {
  const volumes = new VolumeDirectory(config.WORKSPACE_ROOT)
  const runRoot = join(config.CLOISTER_HOME, 'run')
  if (config.CLOISTER_SANDBOX === 'process') {
    const bundles = { hostBundle: HOST_BUNDLE, connectorBridge: CONNECTOR_BRIDGE }
    return new ProcessDriver({ runRoot, volumes, ...bundles })
  }
  return new BubblewrapDriver({
    home: config.CLOISTER_HOME,
    volumes,
    hostBundle: HOST_BUNDLE,
    connectorBridge: CONNECTOR_BRIDGE,
    binds: config.CLOISTER_SANDBOX_BINDS,
    rootfs: config.CLOISTER_SANDBOX_ROOTFS ?? null,
    ownDirectories: [config.ARTIFACT_ROOT],
  })
}

async function makeInvocationStore(config: Config, store: SqlStore): Promise<InvocationStore> {
  const ttlSeconds = config.INVOCATION_STORE_TTL_SECONDS
  if (config.INVOCATION_STORE_BACKEND === 'sql') return new SqlInvocationStore(store)
  if (config.INVOCATION_STORE_BACKEND === 'memory') return new MemoryInvocationStore({ ttlSeconds })
  const { VALKEY_ADDR, VALKEY_HOST, VALKEY_PORT, VALKEY_DB, VALKEY_PASSWORD, INVOCATION_STORE_KEY_PREFIX } = config
  return ValkeyInvocationStore.open({
    ...(VALKEY_ADDR ?? { host: VALKEY_HOST, port: VALKEY_PORT }),
    db: VALKEY_DB,
    password: VALKEY_PASSWORD,
    keyPrefix: INVOCATION_STORE_KEY_PREFIX,
    ttlSeconds,
  })
}

function checkFallbacks({ CLOISTER_CONFIG: { models } }: Config, providers: ModelProviders): void {
  for (const [name, { fallback }] of Object.entries(models)) {
    try {
      if (fallback !== undefined) providers.resolve(fallback)
    } catch (error) {
      if (!(error instanceof CloisterError)) throw error
      throw new ConfigError(`CLOISTER_CONFIG: models.${name}.fallback: ${error.message}`)
    }
  }
}

function budgetsOf(config: Config): Budgets {
  return {
    turn: {
      steps: config.CLOISTER_TURN_MAX_STEPS,
      tokens: config.CLOISTER_TURN_MAX_TOKENS ?? null,
      cost_usd: config.CLOISTER_TURN_MAX_COST_USD ?? null,
      seconds: config.CLOISTER_TURN_MAX_SECONDS,
    },
    session: {
      steps: config.CLOISTER_SESSION_MAX_STEPS ?? null,
      tokens: config.CLOISTER_SESSION_MAX_TOKENS ?? null,
      cost_usd: config.CLOISTER_SESSION_MAX_COST_USD ?? null,
      seconds: config.CLOISTER_SESSION_MAX_SECONDS ?? null,
    },
  }
}

async function requireUsable(driver: SandboxDriver): Promise<void> {
  const check = await driver.check()
  if (!check.usable) throw new Error(explain(check))
}

function explain(check: DriverCheck): string {
  return check.checks
    .filter(({ ok, required }) => required && !ok)
    .map(({ name, detail, fix }) => `${name}: ${detail}${fix ? ` (${fix})` : ''}`)
    .join('; ')
}

/** On the first start. The generated password is printed once, and left for the CLI in a file that only this user reads. */
async function ensureAdmin(auth: AuthService, config: Config): Promise<void> {
  const file = join(config.CLOISTER_HOME, ADMIN_PASSWORD_FILE)
  const { created, generatedPassword } = await auth.ensureAdmin(
    config.CLOISTER_ADMIN_PASSWORD ? { password: config.CLOISTER_ADMIN_PASSWORD } : {},
  )
  if (!created || generatedPassword === undefined) return
  rmSync(file, { force: true })
  writeFileSync(file, `${generatedPassword}\n`, { mode: 0o600, flag: 'wx' })
  process.stdout.write(
    `First start: user "admin", password ${generatedPassword}\nIt is shown only now, and kept in ${file} until you change it.\n`,
  )
}

/** The second signal must not stop a server that stops already. */
function once(work: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | null = null
  return () => {
    result ??= work()
    return result
  }
}
