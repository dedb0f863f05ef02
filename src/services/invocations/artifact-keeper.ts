import type { ArtifactStore } from '../../artifacts/artifact-store.ts'
import { newId } from '../../domain/ids.ts'
import type { Artifact } from '../../domain/invocation.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { ToolArtifact } from '../../domain/tool-artifact.ts'
import type { Store } from '../../store/store.ts'

/** What calls may leave behind. 0: no limit. */
export interface ArtifactLimits {
  /** Artifacts that a tool may leave in one call; the whole output and the whole log, which the gate keeps, come besides. */
  perInvocation: number
  /** Bytes of one artifact, secrets taken out. */
  bytesEach: number
  /** Bytes of all artifacts of a session. */
  bytesPerSession: number
}

export interface ArtifactKeeperDependencies {
  artifacts: ArtifactStore
  store: Pick<Store, 'artifacts'>
  limits: ArtifactLimits
  clock: () => Date
}

/** Keeps what calls leave behind, as much as they may. */
export class ArtifactKeeper {
  readonly #deps: ArtifactKeeperDependencies
  /** Bytes by session that are being kept, and that no row tells of yet: calls of a session run at the same time. */
  readonly #underway = new Map<string, number>()

  constructor(deps: ArtifactKeeperDependencies) {
    this.#deps = deps
  }

  /** For one call; `release` it when its rows are written. */
  open(sessionId: string, redactor: Redactor): ArtifactShelf {
    return new ArtifactShelf(this.#deps, this.#underway, sessionId, redactor)
  }
}

/** What one call leaves behind. */
export class ArtifactShelf {
  readonly #deps: ArtifactKeeperDependencies
  readonly #underway: Map<string, number>
  readonly #sessionId: string
  readonly #redactor: Redactor
  #reserved = 0
  #excess: string | null = null

  constructor(deps: ArtifactKeeperDependencies, underway: Map<string, number>, sessionId: string, redactor: Redactor) {
    this.#deps = deps
    this.#underway = underway
    this.#sessionId = sessionId
    this.#redactor = redactor
  }

  /** Why not everything was kept; null: it was. */
  get excess(): string | null {
    return this.#excess
  }

  /**
   * Puts the bytes into the artifact store, redacted whatever they are: a secret in an archive is a secret. Nothing knows of them
   * until their rows are written with the invocation's end. What does not fit into the limits is not kept, nor what comes after it:
   * see `excess`.
   * @param most so many at most, 0: no limit
   */
  async keep(given: ToolArtifact[], most = 0): Promise<Artifact[]> {
    const kept: Artifact[] = []
    for (const artifact of given) {
      if (most > 0 && kept.length >= most) {
        this.#excess ??= `${most} artifacts of a call are kept, and it left ${given.length}`
        break
      }
      const one = await this.#keepOne(artifact)
      if (one === null) break
      kept.push(one)
    }
    return kept
  }

  /** As `keep`, for what need not be kept: null where it does not fit, and nothing is said of it. */
  async keepIfItFits(artifact: ToolArtifact): Promise<Artifact | null> {
    const before = this.#excess
    const kept = await this.#keepOne(artifact)
    this.#excess = before
    return kept
  }

  release(): void {
    this.#add(-this.#reserved)
    this.#reserved = 0
  }

  async #keepOne({ name, content_type, content }: ToolArtifact): Promise<Artifact | null> {
    const { artifacts, limits, clock } = this.#deps
    const plain = plainName(this.#redactor.text(name))
    const tooLarge = (bytes: number) => limits.bytesEach > 0 && bytes > limits.bytesEach
    const given = Buffer.from(content)
    const redaction = this.#redactor.bytes()
    const bytes = tooLarge(given.length) ? given : Buffer.concat([redaction.push(given), redaction.end()])
    if (tooLarge(bytes.length)) {
      this.#excess ??= `the artifact ${plain} has ${bytes.length} bytes, and one may have ${limits.bytesEach}`
      return null
    }
    if (!(await this.#reserve(bytes.length))) {
      this.#excess ??= `the artifact ${plain} has ${bytes.length} bytes, and those of a session may have ${limits.bytesPerSession} together: this session's are about full`
      return null
    }
    const id = newId('art')
    const { size_bytes, sha256 } = await artifacts.put(this.#sessionId, id, bytes)
    return { id, name: plain, content_type: plainType(content_type), size_bytes, sha256, created_at: clock().toISOString() }
  }

  /**
   * Whether so many bytes more may be kept. The bytes of other calls under way are summed up before the rows are, so that a call
   * whose rows are written meanwhile is counted at least once: of two calls at once one may be refused too early, never none.
   */
  async #reserve(bytes: number): Promise<boolean> {
    const { store, limits } = this.#deps
    this.#add(bytes)
    const underway = this.#underway.get(this.#sessionId) ?? 0
    this.#reserved += bytes
    if (limits.bytesPerSession === 0) return true
    if (underway + (await store.artifacts.bytesOfSession(this.#sessionId)) <= limits.bytesPerSession) return true
    this.#add(-bytes)
    this.#reserved -= bytes
    return false
  }

  #add(bytes: number): void {
    const left = (this.#underway.get(this.#sessionId) ?? 0) + bytes
    if (left > 0) this.#underway.set(this.#sessionId, left)
    else this.#underway.delete(this.#sessionId)
  }
}

const CONTENT_TYPE = /^[\w.+-]{1,127}\/[\w.+-]{1,127}(; ?[\w-]{1,32}=[\w.-]{1,64})?$/

/** A name to be shown and to be saved under: no directories, no control characters. */
function plainName(name: string): string {
  const last = name.split(/[\\/]/).at(-1) ?? ''
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  const plain = last.replace(/[\0-\x1f\x7f"]/g, '_').slice(0, 200)
  return plain === '' || plain === '.' || plain === '..' ? 'artifact' : plain
}

function plainType(type: string): string {
  return CONTENT_TYPE.test(type) ? type : 'application/octet-stream'
}
