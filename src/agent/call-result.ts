import type { CloisterError } from '../domain/errors.ts'
import { type Invocation, InvocationRefused } from '../domain/invocation.ts'
import { SHOWN_RESULT } from '../domain/shown-result.ts'
import type { CallResult } from './turn-step.ts'

/**
 * What the model is told about an invocation that is over. JSON, so that it can be told apart from prose: status first, then output
 * or error, and by name what was kept elsewhere.
 */
export function renderInvocation(invocation: Invocation): CallResult {
  const ok = invocation.status === 'succeeded'
  const status = ok ? 'succeeded' : invocation.status === 'denied' ? 'denied' : 'failed'
  const rule = invocation.decision && status === 'denied' ? { rule: invocation.decision.rule } : {}
  const { output_ref } = invocation
  const result = {
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
    ...(output_ref ? { whole_output: `artifact ${output_ref}` } : {}),
    ...(invocation.artifacts.length > 0
      ? { artifacts: invocation.artifacts.map(({ id, name, size_bytes }) => ({ id, name, size_bytes })) }
      : {}),
  }
  const whole = output_ref
    ? `the whole output is the artifact ${output_ref}, which artifact.download reads from any offset`
    : undefined
  return { ok, status, text: renderJson(result, whole) }
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

function renderJson(value: Record<string, unknown>, hint?: string): string {
  return cutMiddle(JSON.stringify(value), SHOWN_RESULT, hint)
}

/**
 * Keeps two thirds of the limit from the beginning and one third from the end, where test runners and compilers sum up.
 * @param hint how to see what is left out
 */
export function cutMiddle(text: string, limit: number, hint = 'ask for less at a time'): string {
  if (text.length <= limit) return text
  const head = text.slice(0, Math.floor((limit * 2) / 3))
  const tail = text.slice(text.length - Math.floor(limit / 3))
  const note = `\n[... ${text.length - head.length - tail.length} of ${text.length} characters left out: ${hint} ...]\n`
  return `${head}${note}${tail}`.toWellFormed()
}
