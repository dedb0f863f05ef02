import {
  AISDKError,
  APICallError,
  EmptyResponseBodyError,
  InvalidResponseDataError,
  JSONParseError,
  TypeValidationError,
} from 'ai'
import { z } from 'zod'

export type ModelFailureKind =
  /** 429 */
  | 'rate_limited'
  /** 529, 503, or an overload reported in the middle of a stream */
  | 'overloaded'
  /** 5xx */
  | 'provider_error'
  /** no connection, or one that broke before an answer began */
  | 'unreachable'
  /** the answer began and did not end */
  | 'cut_stream'
  /** nothing came for too long */
  | 'stalled'
  /** an orderly answer without text and without calls */
  | 'empty_answer'
  /** an answer that does not follow the protocol */
  | 'invalid_response'
  /** the provider declined to answer */
  | 'refused'
  /** the prompt is longer than the model takes */
  | 'context_exceeded'
  /** 4xx: the same request would be refused again */
  | 'rejected'

/** Longest text of a provider's own that is passed on. */
const MESSAGE_LIMIT = 500

/** Why a model call gave no answer. The message is for people: it names no host and holds no header. */
export class ModelFailure extends Error {
  readonly kind: ModelFailureKind
  readonly retryable: boolean
  /** How long the provider asked to wait, in ms; null: it did not. */
  readonly retry_after_ms: number | null

  constructor(
    kind: ModelFailureKind,
    message: string,
    options: { retryable: boolean; retry_after_ms?: number | null; cause?: unknown },
  ) {
    super(message.slice(0, MESSAGE_LIMIT), { cause: options.cause })
    this.name = 'ModelFailure'
    this.kind = kind
    this.retryable = options.retryable
    this.retry_after_ms = options.retry_after_ms ?? null
  }
}

/** An error event inside a stream, as providers hand it on: a plain object, not an Error. */
const streamError = z.object({
  message: z.string(),
  type: z.string().optional(),
  statusCode: z.number().optional(),
  isRetryable: z.boolean().optional(),
})

/**
 * Whatever a provider threw or put into its stream, told apart. `answering`: had the answer begun?
 * What is unknown counts as an answer that cannot be read and is tried again: tries are bounded, so that costs little.
 */
export function modelFailure(error: unknown, answering: boolean, now: Date): ModelFailure {
  if (error instanceof ModelFailure) return error
  if (APICallError.isInstance(error)) {
    // A stream that breaks has the status with which it began.
    if (error.statusCode === undefined || error.statusCode < 300) return unusable(error, answering)
    return byStatus(error.statusCode, error.message, retryAfter(error.responseHeaders, now), error)
  }
  const event = streamError.safeParse(error)
  if (event.success && !(error instanceof Error)) {
    const { message, type, statusCode, isRetryable } = event.data
    const text = type ? `${type}: ${message}` : message
    if (statusCode !== undefined) return byStatus(statusCode, text, null, error)
    return new ModelFailure('provider_error', text, { retryable: isRetryable ?? true, cause: error })
  }
  if (InvalidResponseDataError.isInstance(error) && /without a finish reason/.test(error.message))
    return new ModelFailure('cut_stream', "the model's answer ended before it was complete", { retryable: true, cause: error })
  if (AISDKError.isInstance(error) && !UNREADABLE.some((kind) => kind.isInstance(error)))
    return new ModelFailure('rejected', error.message, { retryable: false, cause: error })
  return unusable(error, answering)
}

const UNREADABLE = [TypeValidationError, JSONParseError, InvalidResponseDataError, EmptyResponseBodyError]

function unusable(error: unknown, answering: boolean): ModelFailure {
  const options = { retryable: true, cause: error }
  if (!isConnectionError(error))
    return new ModelFailure('invalid_response', 'the model provider sent an answer that cannot be read', options)
  return answering
    ? new ModelFailure('cut_stream', 'the connection to the model provider broke in the middle of an answer', options)
    : new ModelFailure('unreachable', 'the model provider cannot be reached', options)
}

/** fetch throws bare TypeErrors; what they are about stands in the causes: a system error, or one of undici's (`UND_ERR_...`). */
function isConnectionError(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException
    if (typeof code === 'string' && /^(E[A-Z]+|UND_ERR_\w+)$/.test(code)) return true
    if (at instanceof TypeError && /^(terminated|fetch failed)$/.test(at.message)) return true
  }
  return false
}

/** As Anthropic, OpenAI, vLLM and llama.cpp say it: none has a status of its own for it. */
const TOO_LONG =
  /prompt is too long|maximum context length|context_length_exceeded|context window|exceeds? the (available )?context/i

function byStatus(status: number, message: string, retryAfterMs: number | null, cause: unknown): ModelFailure {
  const options = { retryable: true, retry_after_ms: retryAfterMs, cause }
  const text = message || 'no reason given'
  if (status === 429) return new ModelFailure('rate_limited', `the model provider limits the rate (429): ${text}`, options)
  if (status === 529 || status === 503)
    return new ModelFailure('overloaded', `the model provider is overloaded (${status}): ${text}`, options)
  if (status === 408 || status === 409 || status >= 500)
    return new ModelFailure('provider_error', `the model provider failed (${status}): ${text}`, options)
  if ((status === 400 || status === 413) && TOO_LONG.test(text))
    return new ModelFailure('context_exceeded', `the conversation is longer than the model takes (${status}): ${text}`, {
      retryable: false,
      cause,
    })
  return new ModelFailure('rejected', `the model provider refused the request (${status}): ${text}`, { retryable: false, cause })
}

/** `retry-after-ms`, else `retry-after` in seconds or as a date (RFC 9110, section 10.2.3), in ms. */
function retryAfter(headers: Record<string, string> | undefined, now: Date): number | null {
  const milliseconds = Number.parseFloat(headers?.['retry-after-ms'] ?? '')
  if (milliseconds >= 0) return milliseconds
  const value = headers?.['retry-after']
  if (!value) return null
  if (/^\d+(\.\d+)?$/.test(value.trim())) return Number.parseFloat(value) * 1000
  // Date.parse alone takes nearly anything, "-5" for a year.
  const date = /^[A-Z][a-z]{2}, /.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? null : Math.max(0, date - now.getTime())
}
