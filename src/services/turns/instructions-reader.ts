import type { Instructions } from '../../agent/context.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import { WORKSPACE } from '../../domain/path.ts'
import { type Redactor, redactBytes } from '../../domain/redaction.ts'
import type { Session } from '../../domain/session.ts'
import type { HostErrorCode, ReadResult } from '../../host/wire.ts'
import { HostError, SandboxLost } from '../../sandbox/sandbox-errors.ts'
import type { Sandboxes } from '../contracts.ts'

/** Bytes of instructions.md that are read. */
const INSTRUCTIONS_LIMIT = 64 * 1024

/** What host says when there is no file that may be read there; anything else is a failure. */
const ABSENT: Partial<Record<HostErrorCode, string>> = {
  not_found: 'there is no such file',
  path_denied: 'it leads out of the workspace, and is not read',
  is_directory: 'it is a directory, and is not read',
  not_a_directory: 'its place is not a directory',
  invalid_argument: 'it is no regular file, and is not read',
}

/** Where a session's instructions lie: beside a repository's own files, never among them. */
export function instructionsPath(session: Pick<Session, 'repo_url' | 'source_repo_path'>): string {
  const hasRepository = session.repo_url !== null || session.source_repo_path !== null
  return hasRepository ? `${WORKSPACE}/.cloister/instructions.md` : `${WORKSPACE}/instructions.md`
}

/**
 * Reads the instructions as they are now, through the sandbox: a repository can hold a link there. Starts the sandbox if need be.
 * @throws CloisterError when there is no sandbox to read in
 */
export async function readInstructions(
  sandboxes: Pick<Sandboxes, 'acquire' | 'lost'>,
  session: Pick<Session, 'id' | 'repo_url' | 'source_repo_path'>,
  redactor: Redactor,
): Promise<Instructions> {
  const path = instructionsPath(session)
  const none = (note: string): Instructions => ({ path, text: null, sha256: null, note })
  try {
    const file = await readOnce(sandboxes, session.id, path)
    const cut = file.size_bytes > INSTRUCTIONS_LIMIT
    const bytes = redactBytes(redactor, Buffer.from(file.content_base64, 'base64'), cut)
    // A cut may fall into a character: without its end, what is left of it is dropped.
    const text = new TextDecoder().decode(bytes, { stream: true })
    return {
      path,
      text,
      sha256: sha256(text),
      note: cut ? `its first ${INSTRUCTIONS_LIMIT / 1024} KiB of ${file.size_bytes} bytes` : null,
    }
  } catch (error) {
    const absent = error instanceof HostError ? ABSENT[error.code] : undefined
    if (absent === undefined) throw error
    return none(absent)
  }
}

/** A sandbox that died is noticed here first: a new one is asked for, once. */
async function readOnce(sandboxes: Pick<Sandboxes, 'acquire' | 'lost'>, sessionId: string, path: string): Promise<ReadResult> {
  const request = { path, roots: [WORKSPACE], max_bytes: INSTRUCTIONS_LIMIT }
  const { sandbox, generation } = await sandboxes.acquire(sessionId)
  try {
    return await sandbox.read(request)
  } catch (error) {
    if (!(error instanceof SandboxLost)) throw error
    await sandboxes.lost(sessionId, generation, error.message)
  }
  const next = await sandboxes.acquire(sessionId)
  return next.sandbox.read(request)
}
