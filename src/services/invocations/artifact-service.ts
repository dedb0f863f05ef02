import type { ArtifactStore } from '../../artifacts/artifact-store.ts'
import { CloisterError, errors, ToolError } from '../../domain/errors.ts'
import { type Artifact, InvocationRefused } from '../../domain/invocation.ts'
import type { Caller } from '../../domain/principal.ts'
import type { Store } from '../../store/store.ts'
import type { Artifacts } from '../contracts.ts'
import type { Performance } from './invocation-runner.ts'
import type { InvocationService } from './invocation-service.ts'

/** Bytes of an artifact that is given in one piece: they are held in memory, and once more as JSON. */
export const WHOLE_ARTIFACT_LIMIT = 4 * 1024 * 1024

const READ_SECONDS = 45

export interface ArtifactServiceDependencies {
  invocations: Pick<InvocationService, 'perform'>
  store: Pick<Store, 'artifacts'>
  artifacts: Pick<ArtifactStore, 'read'>
}

/**
 * Whole artifacts, through the gate as `artifact.download`: the same checks, approvals and records. The bytes go past the record, whose
 * output is bounded; it tells their size and SHA-256. They were redacted when they were stored.
 */
export class ArtifactService implements Artifacts {
  readonly #deps: ArtifactServiceDependencies

  constructor(deps: ArtifactServiceDependencies) {
    this.#deps = deps
  }

  async read(caller: Caller, sessionId: string, artifactId: string): Promise<{ artifact: Artifact; content: Buffer } | null> {
    const found: { whole?: { artifact: Artifact; content: Buffer } } = {}
    const performance: Performance = {
      timeoutSeconds: READ_SECONDS,
      run: async () => {
        found.whole = await this.#whole(sessionId, artifactId)
        const { id, name, size_bytes, sha256 } = found.whole.artifact
        const output = { path: null, artifact_id: id, name, encoding: 'base64', size_bytes, sha256, truncated: false }
        return { output }
      },
    }
    const args = { artifact_id: artifactId, max_bytes: WHOLE_ARTIFACT_LIMIT }
    const call = { session_id: sessionId, tool_name: 'artifact.download', args }
    const record = await this.#deps.invocations.perform(caller, call, performance)
    if (record.status === 'succeeded' && found.whole) return found.whole
    const { code = 'internal', message = `the call is ${record.status}` } = record.error ?? {}
    if (code === 'not_found') return null
    const refusal = code === 'output_too_large' ? errors.payloadTooLarge(message) : new CloisterError('conflict', message)
    throw new InvocationRefused(refusal, record)
  }

  /** @throws ToolError not_found; output_too_large */
  async #whole(sessionId: string, artifactId: string): Promise<{ artifact: Artifact; content: Buffer }> {
    const { store, artifacts } = this.#deps
    const row = await store.artifacts.inSession(sessionId, artifactId)
    if (!row) throw new ToolError('not_found', `this session has no artifact ${JSON.stringify(artifactId)}`)
    const { invocation_id, ...artifact } = row
    if (artifact.size_bytes > WHOLE_ARTIFACT_LIMIT)
      throw new ToolError(
        'output_too_large',
        `${artifact.name} has ${artifact.size_bytes} bytes, and at most ${WHOLE_ARTIFACT_LIMIT} are given in one piece: the session's owner ` +
          `fetches it with GET /v1/invocations/${invocation_id}/artifacts/${artifact.id}`,
      )
    const content = await artifacts.read(sessionId, artifactId)
    if (!content) throw new ToolError('not_found', `the bytes of the artifact ${JSON.stringify(artifactId)} are no longer kept`)
    return { artifact, content }
  }
}
