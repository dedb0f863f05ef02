import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type ArtifactView,
  type CatalogView,
  isForeseen,
  type PolicyView,
  type Tool,
  type ToolContext,
  type ToolResult,
} from '../../src/catalog/define-tool.ts'
import { CloisterError, ToolError } from '../../src/domain/errors.ts'
import { newId } from '../../src/domain/ids.ts'
import { allowedRoots } from '../../src/domain/path.ts'
import { makeRedactor } from '../../src/domain/redaction.ts'
import { BubblewrapDriver } from '../../src/sandbox/bubblewrap/bubblewrap-driver.ts'
import { ProcessDriver } from '../../src/sandbox/process/process-driver.ts'
import type { SandboxDriver, StartedSandbox } from '../../src/sandbox/sandbox-driver.ts'
import { VolumeDirectory } from '../../src/sandbox/volume-directory.ts'
import { makeToolSandbox } from '../../src/services/invocations/tool-sandbox.ts'

const HOST_BUNDLE = fileURLToPath(new URL('../../dist/host.mjs', import.meta.url))
const CONNECTOR_BRIDGE = fileURLToPath(new URL('../../dist/connector-bridge.mjs', import.meta.url))

const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))
/** Nobody's: whom root's sandbox belongs to. */
const SESSION_UID = 64_210

/** The one secret of a test's session, and what its value must never lead to. */
export const SECRET = { name: 'API_TOKEN', value: 'the-secret-value-4711' }

const REDACTOR = makeRedactor({ [SECRET.name]: SECRET.value })

export interface CallOptions {
  allowed_paths?: string[]
  network?: 'none' | 'host'
  signal?: AbortSignal
  /** Default: the tool's own deadline. */
  timeout_seconds?: number
  catalog?: CatalogView
  policy?: PolicyView
  artifacts?: ArtifactView
  metadata?: Record<string, string>
  repository?: ToolContext['session']['repository']
  /** Default: one of its own for each call. */
  invocation_id?: string
}

/** Test support: one session's volume and a real sandbox, with tools called as the gate calls them, but without policy before it. */
export class ToolWorkspace {
  /** The workspace on the test's machine, to plant files in and to look at outside effects. */
  readonly code: string
  readonly driver: SandboxDriver
  readonly started: StartedSandbox
  readonly network: 'none' | 'host'
  readonly log: string[] = []
  readonly output: string[] = []
  readonly #root: string
  readonly #volumes: VolumeDirectory
  readonly #uid: number | null

  private constructor(
    root: string,
    driver: SandboxDriver,
    volumes: VolumeDirectory,
    uid: number | null,
    started: StartedSandbox,
    network: 'none' | 'host',
  ) {
    this.#root = root
    this.#volumes = volumes
    this.#uid = uid
    this.driver = driver
    this.started = started
    this.network = network
    this.code = join(volumes.volume('test'), 'code')
  }

  /** In bubblewrap where this machine can, else as plain processes, and says why. CLOISTER_TEST_SANDBOX chooses. */
  static async start(
    kind = process.env['CLOISTER_TEST_SANDBOX'] ?? 'best',
    network: 'none' | 'host' = 'none',
  ): Promise<ToolWorkspace> {
    const root = mkdtempSync(join(tmpdir(), 'ct-'))
    await chmod(root, 0o711)
    const volumes = new VolumeDirectory(join(root, 'sessions'))
    const driver = await chooseDriver(kind, root, volumes)
    const uid = driver.kind === 'bubblewrap' && process.getuid?.() === 0 ? SESSION_UID : null
    const secrets = { [SECRET.name]: SECRET.value }
    await volumes.create('test', { uid, secrets, staging: {} })
    const spec = {
      session_id: 'test',
      generation: 1,
      purpose: 'session' as const,
      uid,
      limits: { memory_mb: 2048, cpus: 2, pids: 512 },
      network,
      isolation_floor: 'none' as const,
      epoch: 1,
    }
    const started = await driver.start(spec, async () => {})
    await started.sandbox.configure(secrets)
    return new ToolWorkspace(root, driver, volumes, uid, started, network)
  }

  /** A path of the workspace (`../data/x` too) as a process in the sandbox names it. */
  inside(name: string): string {
    return this.driver.kind === 'bubblewrap' ? join('/session/code', name) : join(this.code, name)
  }

  /** Where the session's secrets lie, as a process in the sandbox names it. */
  get secretsInside(): string {
    return this.driver.kind === 'bubblewrap' ? '/session/secrets' : this.#volumes.secrets('test')
  }

  /** Writes files of the workspace from outside, as a repository would bring them. A trailing `*` in a name: executable. */
  async plant(files: Record<string, string | Uint8Array>): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      const path = join(this.code, name.replace(/\*$/, ''))
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, content, { mode: name.endsWith('*') ? 0o755 : 0o644 })
    }
  }

  /** An empty workspace. */
  async clear(): Promise<void> {
    await rm(this.code, { recursive: true })
    await mkdir(this.code, { mode: 0o700 })
    this.#own()
  }

  /** Validates args and output against the tool's schemas, as the gate does, and errors against what the tool declares. */
  async call(
    tool: Tool,
    args: Record<string, unknown> = {},
    options: CallOptions = {},
  ): Promise<ToolResult<Record<string, unknown>>> {
    const parsed = tool.input.parse(args) as Record<string, unknown>
    const result = await tool.handler(parsed, this.context(tool, options)).catch((error: unknown) => {
      if (!(error instanceof ToolError) || isForeseen(error, tool.metadata)) throw error
      throw new Error(`${tool.metadata.name} does not declare ${error.code}: ${error.message}`, { cause: error })
    })
    tool.output.strict().parse(result.output)
    return result
  }

  context(tool: Tool, options: CallOptions = {}): ToolContext {
    this.#own()
    const allowed_paths = options.allowed_paths ?? ['.']
    const signal = options.signal ?? new AbortController().signal
    const invocation_id = options.invocation_id ?? newId('inv')
    const sandbox = makeToolSandbox({
      sandbox: this.started.sandbox,
      invocationId: invocation_id,
      roots: allowedRoots(allowed_paths),
      signal,
      deadline: Date.now() + (options.timeout_seconds ?? tool.metadata.constraints.timeout_seconds) * 1000,
      maxOutputBytes: 64 * 1024 * 1024,
      remembersAnswers: true,
      redactor: REDACTOR,
      onOutputCut: () => undefined,
      onOutput: (_, chunk) => void this.output.push(chunk.toString()),
    })
    return {
      invocation_id,
      session: {
        id: 'test',
        allowed_paths,
        network: options.network ?? this.network,
        metadata: options.metadata ?? {},
        repository: options.repository ?? null,
      },
      principal: { tenant_id: 'default', actor_id: 'alice', roles: ['developer'] },
      sandbox,
      catalog: options.catalog ?? { list: () => [], get: () => null, statistics: async () => new Map() },
      artifacts: options.artifacts ?? { list: async () => [], read: async () => null },
      policy: options.policy ?? { check: () => Promise.reject(new Error('this test has no policy')) },
      signal,
      excerpt: (text, start, end) => REDACTOR.excerpt(text, start, end),
      log: (message) => void this.log.push(message),
      actsOutside: async () => undefined,
    }
  }

  /** What the test planted belongs to the session, as everything in a volume does. */
  #own(): void {
    if (this.#uid !== null) execFileSync('chown', ['-R', '-h', `${this.#uid}:${this.#uid}`, '--', this.#volumes.volume('test')])
  }

  /** The error that a call ends with. Throws if it succeeds, or fails with anything that the tool does not declare. */
  async failure(tool: Tool, args: Record<string, unknown>, options: CallOptions = {}): Promise<ToolError | CloisterError> {
    try {
      await this.call(tool, args, options)
    } catch (error) {
      if (error instanceof ToolError || error instanceof CloisterError) return error
      throw error
    }
    throw new Error(`${tool.metadata.name} should have failed`)
  }

  async stop(): Promise<void> {
    this.started.sandbox.disconnect()
    await this.driver.stop(this.started.record, 'test')
    await rm(this.#root, { recursive: true, force: true })
  }
}

async function chooseDriver(kind: string, root: string, volumes: VolumeDirectory): Promise<SandboxDriver> {
  const bundles = { hostBundle: HOST_BUNDLE, connectorBridge: CONNECTOR_BRIDGE }
  const processes = new ProcessDriver({ runRoot: join(root, 'run'), volumes, ...bundles })
  if (kind === 'process') return processes
  // The repository's own packages, for tests that run a test runner of theirs.
  const bubblewrap = new BubblewrapDriver({ home: root, volumes, ...bundles, binds: [NODE_MODULES] })
  const { usable, checks } = await bubblewrap.check()
  if (usable) return bubblewrap
  const missing = checks.filter((check) => check.required && !check.ok).map((check) => `${check.name}: ${check.detail}`)
  if (kind === 'bubblewrap') throw new Error(`bubblewrap cannot be used here: ${missing.join('; ')}`)
  console.warn(`tools are tested without isolation, because bubblewrap cannot be used here: ${missing.join('; ')}`)
  return processes
}
