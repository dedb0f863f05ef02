import type { ArtifactStore } from '../../artifacts/artifact-store.ts'
import type { ArtifactView } from '../../catalog/define-tool.ts'
import type { Store } from '../../store/store.ts'

/** What a session's tools may see of its stored artifacts: they were redacted when they were stored. Other sessions' do not exist. */
export function artifactView(deps: { store: Store; artifacts: ArtifactStore }, sessionId: string): ArtifactView {
  const { store, artifacts } = deps
  return {
    list: (limit) => store.artifacts.ofSession(sessionId, limit),
    read: async (id, maxBytes, offset) => {
      const artifact = await store.artifacts.inSession(sessionId, id)
      if (!artifact) return null
      if (offset >= artifact.size_bytes) return { artifact, content: Buffer.alloc(0) }
      const end = Math.min(offset + maxBytes, artifact.size_bytes) - 1
      const stream = await artifacts.get(sessionId, id, { start: offset, end })
      if (!stream) return null
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(Buffer.from(chunk))
      return { artifact, content: Buffer.concat(chunks) }
    },
  }
}
