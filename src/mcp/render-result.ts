import type { CallToolResult, ContentBlock } from '@modelcontextprotocol/server'
import type { CloisterError } from '../domain/errors.ts'
import { type Invocation, InvocationRefused } from '../domain/invocation.ts'
import { artifactUri } from './artifact-uri.ts'

/** Where the id is that ties a call to the same one, made again: in the `_meta` of results, and of requests that repeat one. */
export const CORRELATION_META = 'cloister/correlation_id'
/** Id of the invocation, in the `_meta` of results. */
const INVOCATION_META = 'cloister/invocation_id'

/** What a call came to. It ran, well or not; the text is JSON, for clients that read no structured content. */
export function renderResult(invocation: Invocation): CallToolResult {
  const { status, exit_code, output, error, truncated, output_ref, artifacts, decision } = invocation
  const _meta = metaOf(invocation)
  const links = artifacts.map(({ id, name, content_type, size_bytes }): ContentBlock => {
    const uri = artifactUri(invocation.session_id, id)
    return { type: 'resource_link', uri, name, mimeType: content_type, size: size_bytes }
  })
  if (status === 'succeeded' && output) {
    const rest = truncated
      ? { truncated, ...(output_ref && { whole_output: artifactUri(invocation.session_id, output_ref) }) }
      : {}
    const notes = truncated ? [text(rest)] : []
    return { content: [text(output), ...notes, ...links], structuredContent: output, _meta }
  }
  const rule = status === 'denied' && decision ? { rule: decision.rule } : {}
  const failure = {
    status,
    ...(exit_code !== null && { exit_code }),
    ...(error && { error: { code: error.code, message: error.message, ...rule, retryable: error.retryable } }),
    ...(output && { output }),
  }
  return { isError: true, content: [text(failure), ...links], _meta }
}

/** A call that waits for a person. It was not made: an answer over MCP never approves. */
export function renderPending(invocation: Invocation): CallToolResult {
  const approval_id = invocation.approval?.approval_id ?? null
  const message =
    `This call needs a person's approval and was not made yet. Somebody who may approve decides: cloister approval approve ${approval_id} ` +
    `(or deny), or POST /v1/approvals/${approval_id}/approve. Then make the same call with the same arguments again: it answers with the result.`
  const failure = { status: 'pending_approval', error: { code: 'approval_required', message }, approval_id }
  return { isError: true, content: [text(failure)], _meta: metaOf(invocation) }
}

/** A call that was refused before any effect, or could not be made: with the rule, and what would be accepted. */
export function renderRefusal(error: CloisterError): CallToolResult {
  const { rule, reason: _, ...details } = error.details
  const failure = {
    status: error.status >= 500 ? 'failed' : 'denied',
    error: {
      code: error.code,
      message: error.message,
      ...(rule !== undefined && { rule }),
      ...(Object.keys(details).length > 0 && { details }),
    },
  }
  return {
    isError: true,
    content: [text(failure)],
    ...(error instanceof InvocationRefused && { _meta: metaOf(error.invocation) }),
  }
}

function metaOf({ id, correlation_id }: Invocation): Record<string, unknown> {
  return { [INVOCATION_META]: id, ...(correlation_id !== null && { [CORRELATION_META]: correlation_id }) }
}

function text(value: unknown): ContentBlock {
  return { type: 'text', text: JSON.stringify(value) }
}
