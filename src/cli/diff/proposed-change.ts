import { ApiError, type Approval, type CloisterClient } from '../../client/cloister-client.ts'
import { unifiedDiff } from './unified-diff.ts'

/** Bytes of a file that is compared; the tools that edit text take no larger ones. */
const FILE_LIMIT = 1024 * 1024

export interface ProposedChange {
  /** A unified diff. */
  diff: string[]
  /** The arguments that the diff does not show. */
  rest: Record<string, unknown>
}

/**
 * What an approved call would change in a file, from its arguments and from what the file holds now. A string says why that cannot
 * be shown; null: the call changes no text that is known beforehand. Either way all arguments have to be shown instead.
 */
export async function proposedChange(client: CloisterClient, approval: Approval): Promise<ProposedChange | string | null> {
  const { tool_name, args } = approval
  switch (tool_name) {
    case 'fs.patch':
      return patch(args, 'unified_diff')
    case 'git.apply_patch':
      return patch(args, 'patch')
    case 'fs.write': {
      const { path, content, encoding, ...rest } = args
      if (typeof path !== 'string' || typeof content !== 'string' || (encoding ?? 'utf8') !== 'utf8') return null
      return changed(client, approval, path, rest, () => content)
    }
    case 'fs.edit': {
      const { path, old_string, new_string, replace_all, ...rest } = args
      if (typeof path !== 'string' || typeof old_string !== 'string' || typeof new_string !== 'string' || old_string === '')
        return null
      return changed(client, approval, path, rest, (before) => {
        const parts = before?.split(old_string) ?? []
        return parts.length === 2 || (parts.length > 2 && replace_all === true) ? parts.join(new_string) : null
      })
    }
    default:
      return null
  }
}

function patch(args: Record<string, unknown>, name: string): ProposedChange | null {
  const { [name]: text, ...rest } = args
  return typeof text === 'string' ? { diff: text.replace(/\n$/, '').split('\n'), rest } : null
}

async function changed(
  client: CloisterClient,
  approval: Approval,
  path: string,
  rest: Record<string, unknown>,
  edit: (before: string | null) => string | null,
): Promise<ProposedChange | string> {
  const before = await present(client, approval.session_id, path)
  if (typeof before === 'object' && before !== null) return before.problem
  const after = edit(before)
  if (after === null) return 'the text to replace does not stand there as the call says: it would fail'
  const hunks = unifiedDiff(before ?? '', after)
  if (hunks.length === 0 && before !== null) return 'the file holds exactly this already'
  return { diff: [before === null ? '--- /dev/null' : `--- a/${path}`, `+++ b/${path}`, ...hunks], rest }
}

/** The text of a file; null: there is none. */
async function present(client: CloisterClient, sessionId: string, path: string): Promise<string | null | { problem: string }> {
  const chunks: Uint8Array[] = []
  try {
    let size = 0
    for await (const chunk of await client.downloadFile(sessionId, path)) {
      chunks.push(chunk)
      size += chunk.length
      if (size > FILE_LIMIT) return { problem: 'the file is too large to compare' }
    }
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return null
    return { problem: `the file cannot be read to compare: ${(error as Error).message}` }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks))
  } catch {
    // Fatal decoding throws for nothing else.
    return { problem: 'the file is not text now' }
  }
}
