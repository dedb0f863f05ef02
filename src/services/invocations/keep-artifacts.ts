import type { ArtifactStore } from '../../artifacts/artifact-store.ts'
import { newId } from '../../domain/ids.ts'
import type { Artifact } from '../../domain/invocation.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { ToolArtifact } from '../../domain/tool.ts'

const CONTENT_TYPE = /^[\w.+-]{1,127}\/[\w.+-]{1,127}(; ?[\w-]{1,32}=[\w.-]{1,64})?$/

/**
 * Puts the bytes into the artifact store, redacted whatever they are: a secret in an archive is a secret. Nothing knows of them
 * until their rows are written with the invocation's end.
 */
export async function keepArtifacts(
  artifacts: ArtifactStore,
  sessionId: string,
  given: ToolArtifact[],
  redactor: Redactor,
  at: string,
): Promise<Artifact[]> {
  const kept: Artifact[] = []
  for (const { name, content_type, content } of given) {
    const id = newId('art')
    const redaction = redactor.bytes()
    const bytes = Buffer.concat([redaction.push(Buffer.from(content)), redaction.end()])
    const { size_bytes, sha256 } = await artifacts.put(sessionId, id, bytes)
    kept.push({
      id,
      name: plainName(redactor.text(name)),
      content_type: plainType(content_type),
      size_bytes,
      sha256,
      created_at: at,
    })
  }
  return kept
}

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
