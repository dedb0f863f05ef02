import type { CloisterError } from '../domain/errors.ts'
import { type Invocation, InvocationRefused } from '../domain/invocation.ts'
import type { CallResult } from './turn-step.ts'

/** Characters of one result that the model sees: about 8,000 tokens. The whole is on the invocation's record, or in its artifact. */
export const RESULT_LIMIT = 32_000

/**
 * What the model is told about an invocation that is over. JSON, so that it can be told apart from prose: status first, then output
 * or error, and by name what was kept elsewhere.
 */
export function renderInvocation(invocation: Invocation): CallResult {
  const ok = invocation.status === 'succeeded'
  const status = ok ? 'succeeded' : invocation.status === 'denied' ? 'denied' : 'failed'
  const rule = invocation.decision && status === 'denied' ? { rule: invocation.decision.rule } : {}
  const text = renderJson({
    status,
    ...(invocation.exit_code !== null ? { exit_code: invocation.exit_code } : {}),
    ...(invocation.error
      ? {
          error: {
            code: invocation.error.code,
            message: invocation.error.message,
            ...rule,
            retryable: invocation.error.retryable,
            ...(invocation.error.details ? { details: invocation.error.details } : {}),
          },
        }
      : {}),
    ...(invocation.output ? { output: invocation.output } : {}),
    ...(invocation.truncated ? { truncated: true } : {}),
    ...(invocation.output_ref ? { whole_output: `artifact ${invocation.output_ref}` } : {}),
    ...(invocation.artifacts.length > 0
      ? { artifacts: invocation.artifacts.map(({ id, name, size_bytes }) => ({ id, name, size_bytes })) }
      : {}),
  })
  return { ok, status, text }
}

/** A refusal, with its code, the rule, and what would be accepted. */
export function renderRefusal(error: CloisterError): CallResult {
  const invocation = error instanceof InvocationRefused ? error.invocation : null
  const rule = error.details['rule'] ?? invocation?.decision?.rule
  const { rule: _rule, reason: _reason, ...details } = error.details
  const status = invocation?.status === 'failed' || error.status >= 500 ? 'failed' : 'denied'
  const text = renderJson({
    status,
    error: {
      code: error.code,
      message: error.message,
      ...(rule !== undefined ? { rule } : {}),
      ...(Object.keys(details).length > 0 ? { details } : {}),
    },
  })
  return { ok: false, status, text }
}

/** A call that never reached the gate: unknown tool, input that is no JSON object, too many at once. */
export function notCalled(code: string, message: string): CallResult {
  return { ok: false, status: 'not_called', text: renderJson({ status: 'not_called', error: { code, message } }) }
}

/** So that no call in the conversation stays without an answer, which providers refuse. */
export function interrupted(): CallResult {
  const message = 'the turn was interrupted before this call was over; what it did until then may remain'
  return { ok: false, status: 'interrupted', text: renderJson({ status: 'interrupted', error: { code: 'cancelled', message } }) }
}

function renderJson(value: Record<string, unknown>): string {
  return cutMiddle(JSON.stringify(value), RESULT_LIMIT)
}

/** Keeps two thirds of the limit from the beginning and one third from the end, where test runners and compilers sum up. */
export function cutMiddle(text: string, limit: number): string {
  if (text.length <= limit) return text
  const head = text.slice(0, Math.floor((limit * 2) / 3))
  const tail = text.slice(text.length - Math.floor(limit / 3))
  const note = `\n[... ${text.length - head.length - tail.length} of ${text.length} characters left out: ask for less at a time ...]\n`
  return `${head}${note}${tail}`.toWellFormed()
}
