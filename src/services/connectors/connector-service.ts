import type { Logger } from 'pino'
import type { Tool } from '../../catalog/define-tool.ts'
import type { LiveCatalog } from '../../catalog/live-catalog.ts'
import {
  type Connector,
  type ConnectorFlag,
  type ConnectorList,
  type ConnectorReview,
  type ConnectorState,
  type ConnectorSummary,
  describeDifferences,
  type ListedTool,
  sourceDigest,
  toolDifferences,
  toolListDigest,
} from '../../domain/connector.ts'
import { CloisterError, errors, ToolError } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'
import { type Caller, principalKey } from '../../domain/principal.ts'
import type { ToolMetadata } from '../../domain/tool.ts'
import type { Store } from '../../store/store.ts'
import type { Connectors } from '../contracts.ts'

const REVIEWS_SHOWN = 20
/** What a look at a connector came to holds for so long: it costs a sandbox, and whoever has a session can make one due. */
const LOOK_MS = 60_000
/** Characters of what a server says. */
const LONGEST_REASON = 1000

/** What becomes of a list: our tools, and of each listed one what it is here. */
export interface MadeTools {
  tools: Tool[]
  fates: { tool: ListedTool; name: string | null; problem: string | null }[]
  missing: string[]
}

export interface ConnectorServiceDependencies {
  connectors: readonly Connector[]
  store: Store
  catalog: LiveCatalog
  /** Policies are about tools: they are asked before tools change. Both throw when they do not fit. */
  policy: { checkTools(tools: readonly ToolMetadata[]): void; replaceTools(tools: readonly ToolMetadata[]): void }
  /**
   * Asks a connector's server, on neutral ground: for one in the sandbox, an empty sandbox of its own. Throws what can be told.
   * @param urgent an admin waits for it
   */
  askForTools: (connector: Connector, urgent: boolean) => Promise<ListedTool[]>
  /** @param refused why they may not be called now */
  makeTools: (connector: Connector, listed: readonly ListedTool[], refused: string | null) => MadeTools
  clock: () => Date
  logger: Pick<Logger, 'warn' | 'info'>
}

interface Standing {
  connector: Connector
  review: ConnectorReview | null
  flag: ConnectorFlag | null
  /** When the last look because of a call ended, since that review, in milliseconds since the epoch; null: there was none. */
  looked_at: number | null
}

/**
 * What administrators let in of connectors, and what differs since. The tools of the catalog follow: a reviewed connector's are there,
 * those of one that offers something else are there and refused, and of one that nobody reviewed there are none.
 */
export class ConnectorService implements Connectors {
  readonly #deps: ConnectorServiceDependencies
  readonly #standing: Map<string, Standing>
  /** Changes of what is let in, one after the other. */
  #changes: Promise<unknown> = Promise.resolve()
  readonly #looking = new Map<string, Promise<ListedTool[]>>()

  constructor(deps: ConnectorServiceDependencies) {
    this.#deps = deps
    this.#standing = new Map(
      deps.connectors.map((connector) => [connector.name, { connector, review: null, flag: null, looked_at: null }]),
    )
  }

  /** At the start, before anybody calls: what was let in before. Policies are not asked: they are composed after this. */
  async load(): Promise<void> {
    const { store, catalog } = this.#deps
    for (const review of await store.connectors.latestReviews()) {
      const standing = this.#standing.get(review.connector)
      if (standing) standing.review = review
    }
    for (const flag of await store.connectors.flags()) {
      const standing = this.#standing.get(flag.connector)
      if (standing?.review) standing.flag = flag
    }
    catalog.replaceConnectors(this.#tools())
  }

  async list(caller: Caller): Promise<ConnectorSummary[]> {
    requireAdmin(caller)
    return [...this.#standing.values()].map(summary)
  }

  async get(caller: Caller, name: string) {
    const standing = this.#known(caller, name)
    const { review, flag } = standing
    return {
      connector: summary(standing),
      list: review && this.#listOf(standing.connector, review.tools),
      differences: flag?.differences ?? [],
      reviews: await this.#deps.store.connectors.reviews(name, REVIEWS_SHOWN),
    }
  }

  async review(caller: Caller, name: string, digest: string | null) {
    const standing = this.#known(caller, name)
    const listed = await this.#ask(standing.connector)
    const now = toolListDigest(listed)
    if (digest !== null && digest !== now)
      throw errors.conflict(
        `the connector ${name} offers another list now than the one that you looked at: look again before you accept it`,
        { digest: now },
      )
    const differences = toolDifferences(standing.review?.tools ?? [], listed)
    if (digest === null) await this.#flagIfOther(standing, listed, null)
    else await this.#change(() => this.#accept(standing, listed, principalKey(caller as Extract<Caller, { kind: 'user' }>)))
    return {
      connector: summary(standing),
      list: this.#listOf(standing.connector, listed),
      differences,
      accepted: digest !== null,
    }
  }

  /**
   * A call found another list than the one that its tool was made from, and was not made. What is listed in a session's sandbox may
   * be that session's doing (its files, its processes), and must not close the connector to everybody: so it is asked again on neutral
   * ground, once in a while. A remote server's list is its own word.
   * @returns why the call is refused
   */
  async observe(connector: Connector, listed: readonly ListedTool[], sessionId: string): Promise<string> {
    const standing = this.#standing.get(connector.name)
    const { review } = standing ?? {}
    if (!standing || !review) return `the connector ${connector.name} is not reviewed`
    if (toolListDigest(listed) === review.digest) return `the connector ${connector.name} was reviewed just now: call again`
    const here = describeDifferences(toolDifferences(review.tools, listed))
    if (connector.source.kind === 'http') await this.#flagIfOther(standing, listed, sessionId)
    else await this.#look(standing, sessionId)
    return (
      refusal(standing) ??
      `in this session the connector ${connector.name} offers other tools than were reviewed (${here}): what is in the session changes it`
    )
  }

  /** For the gauge of connectors by state. */
  countByState(): Record<ConnectorState, number> {
    const count = { unreviewed: 0, reviewed: 0, changed: 0 }
    for (const standing of this.#standing.values()) count[stateOf(standing)]++
    return count
  }

  async #look(standing: Standing, sessionId: string): Promise<void> {
    const { name } = standing.connector
    const now = () => this.#deps.clock().getTime()
    // Many sessions may find the same at once, and one may find it again and again.
    const known = this.#looking.get(name)
    if (!known && standing.looked_at !== null && now() - standing.looked_at < LOOK_MS) return
    const looking = known ?? this.#deps.askForTools(standing.connector, false)
    this.#looking.set(name, looking)
    try {
      await this.#flagIfOther(standing, await looking, sessionId)
    } catch (error) {
      // The call is refused all the same; that the connector is left to others is to be known.
      this.#deps.logger.warn({ err: error, connector: name }, 'a connector could not be asked again for its tools')
    } finally {
      this.#looking.delete(name)
      standing.looked_at = now()
    }
  }

  async #flagIfOther(standing: Standing, listed: readonly ListedTool[], sessionId: string | null): Promise<void> {
    const { connector, review } = standing
    const digest = toolListDigest(listed)
    if (!review || digest === review.digest || standing.flag?.digest === digest) return
    const { store, clock, logger, catalog } = this.#deps
    const flag: ConnectorFlag = {
      connector: connector.name,
      digest,
      differences: toolDifferences(review.tools, listed),
      session_id: sessionId,
      flagged_at: clock().toISOString(),
    }
    await this.#change(async () => {
      // Somebody may have let just this list in meanwhile.
      if (standing.review !== review) return
      standing.flag = flag
      catalog.replaceConnectors(this.#tools())
      await store.connectors.flag(flag)
      const { differences } = flag
      logger.warn(
        { connector: connector.name, differences, session_id: sessionId },
        'a connector offers other tools than were reviewed',
      )
    })
  }

  async #accept(standing: Standing, listed: ListedTool[], by: string): Promise<void> {
    const { store, clock, catalog, policy, logger } = this.#deps
    const at = clock()
    const { connector } = standing
    const review: ConnectorReview = {
      id: newId('crv', at.getTime()),
      connector: connector.name,
      source_digest: sourceDigest(connector.source),
      digest: toolListDigest(listed),
      tools: listed,
      reviewed_by: by,
      reviewed_at: at.toISOString(),
    }
    const before = { review: standing.review, flag: standing.flag }
    Object.assign(standing, { review, flag: null })
    const tools = this.#tools()
    Object.assign(standing, before)
    const all = [...catalog.list().filter(({ metadata }) => !metadata.connector), ...tools].map(({ metadata }) => metadata)
    try {
      policy.checkTools(all)
    } catch (error) {
      throw errors.conflict(
        `the policies in force do not fit these tools, so they are not let in: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
    await store.transaction(async (tx) => {
      await tx.connectors.insertReview(review)
      await tx.connectors.unflag(connector.name)
    })
    Object.assign(standing, { review, flag: null, looked_at: null })
    policy.replaceTools(all)
    catalog.replaceConnectors(tools)
    logger.info({ connector: connector.name, digest: review.digest, reviewed_by: by }, 'the tools of a connector were let in')
  }

  /** Of all connectors, as they stand. */
  #tools(): Tool[] {
    return [...this.#standing.values()].flatMap((standing) =>
      standing.review ? this.#deps.makeTools(standing.connector, standing.review.tools, refusal(standing)).tools : [],
    )
  }

  #listOf(connector: Connector, listed: readonly ListedTool[]): ConnectorList {
    const { fates, missing } = this.#deps.makeTools(connector, listed, null)
    const tools = fates.map(({ tool, name, problem }) => ({
      listed: tool,
      name,
      problem,
      declared: connector.tools[tool.name] ?? null,
    }))
    return { digest: toolListDigest(listed), tools, missing }
  }

  async #ask(connector: Connector): Promise<ListedTool[]> {
    try {
      return await this.#deps.askForTools(connector, true)
    } catch (error) {
      if (error instanceof CloisterError) throw error
      if (error instanceof ToolError || (error instanceof Error && error.name === 'ConnectorFault'))
        throw errors.conflict(
          `the connector ${connector.name} could not be asked for its tools: ${error.message.slice(0, LONGEST_REASON).toWellFormed()}`,
        )
      throw error
    }
  }

  #known(caller: Caller, name: string): Standing {
    requireAdmin(caller)
    const standing = this.#standing.get(name)
    if (!standing) throw errors.notFound('connector')
    return standing
  }

  #change(work: () => Promise<void>): Promise<void> {
    const mine = this.#changes.then(work)
    this.#changes = mine.catch(() => undefined)
    return mine
  }
}

function requireAdmin(caller: Caller): void {
  if (caller.kind !== 'user' || !caller.admin)
    throw errors.permissionDenied('connector:review', 'connectors are for admins: ask one')
}

function stateOf({ connector, review, flag }: Standing): ConnectorState {
  if (!review) return 'unreviewed'
  return flag || review.source_digest !== sourceDigest(connector.source) ? 'changed' : 'reviewed'
}

/** Null: its tools may be called. */
function refusal(standing: Standing): string | null {
  const { connector, flag } = standing
  if (stateOf(standing) === 'reviewed') return null
  const what = !standing.review
    ? 'is not reviewed yet'
    : flag
      ? `offers other tools than were reviewed (${describeDifferences(flag.differences)})`
      : 'is configured to be another server than the one that was reviewed'
  return `the connector ${connector.name} ${what}: an admin has to look at it with "cloister connector review ${connector.name}"`
}

function summary(standing: Standing): ConnectorSummary {
  const { connector, review, flag } = standing
  const { source } = connector
  return {
    name: connector.name,
    kind: source.kind,
    target: source.kind === 'stdio' ? source.command.join(' ') : source.url,
    state: stateOf(standing),
    reason: refusal(standing),
    review: review && { digest: review.digest, reviewed_by: review.reviewed_by, reviewed_at: review.reviewed_at },
    flagged_at: flag?.flagged_at ?? null,
  }
}
