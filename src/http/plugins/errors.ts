import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { CloisterError, errors, type Issue } from '../../domain/errors.ts'
import { InvocationRefused } from '../../domain/invocation.ts'
import type { App } from '../app-type.ts'
import { renderInvocation } from '../render-invocation.ts'
import type { RouteTable } from './route-table.ts'

const INTERNAL = 'something went wrong on our side: the server log has it under this request id'

/** Where a validated part of a request stands in an issue's path. A body's fields stand for themselves. */
const PREFIX: Record<string, string> = { body: '', querystring: 'query.', params: 'path.', headers: 'header.' }

/** The one place where errors become answers. Also for requests that match no route. */
export function errorRendering(app: App, routes: RouteTable): void {
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply))
  app.setNotFoundHandler((request, reply) => {
    const allowed = [...new Set(routes.at(request.url).map((route) => route.method))]
    if (allowed.length === 0)
      return sendError(new CloisterError('not_found', 'there is no such path: see /openapi.json'), request, reply)
    reply.header('allow', allowed.join(', '))
    return sendError(
      new CloisterError('method_not_allowed', `this path answers to ${allowed.join(', ')}, not to ${request.method}`),
      request,
      reply,
    )
  })
}

export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toCloisterError(error)
  if (known.code === 'internal') request.log.error({ err: error }, 'internal error')
  else if (known.status >= 500) request.log.warn({ err: error }, known.code)
  if (known.code === 'unauthorized') reply.header('www-authenticate', 'Bearer')
  const retryAfter = known.details['retry_after_seconds']
  if (known.code === 'rate_limited' && typeof retryAfter === 'number')
    reply.header('retry-after', String(Math.max(1, Math.ceil(retryAfter))))
  if (known.code === 'range_not_satisfiable') reply.header('content-range', `bytes */${String(known.details['size_bytes'])}`)
  return reply
    .code(known.status)
    .removeHeader('content-disposition')
    .type('application/json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(errorBody(known, request.id))
}

/** The body of a refusal, as it is documented. */
export function errorBody(error: CloisterError, requestId: string) {
  const body = {
    error: {
      code: error.code,
      message: error.code === 'internal' ? INTERNAL : error.message,
      details: error.code === 'internal' ? {} : error.details,
      request_id: requestId,
    },
  }
  return error instanceof InvocationRefused ? { ...body, invocation: renderInvocation(error.invocation) } : body
}

function toCloisterError(error: unknown): CloisterError {
  if (error instanceof CloisterError) return error
  if (hasZodFastifySchemaValidationErrors(error)) {
    const context = (error as FastifyError).validationContext ?? 'body'
    const issues = error.validation.flatMap((entry) => issuesOf(context, entry))
    const [first] = issues
    return errors.invalidArgument(`the request does not fit: ${first ? `${first.path}: ${first.reason}` : 'see details'}`, issues)
  }
  if (!(error instanceof Error)) return errors.internal('not an error was thrown', error)
  const { code, statusCode } = error as FastifyError
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return errors.payloadTooLarge('the body is larger than this path accepts')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return errors.invalidArgument('the body must be sent as content-type: application/json')
  if (error instanceof SyntaxError && statusCode === 400) return errors.invalidArgument('the body is not valid JSON')
  // What Fastify itself refuses before a handler runs: bad URLs, content lengths that do not hold.
  if (code?.startsWith('FST_') && statusCode !== undefined && statusCode < 500) return errors.invalidArgument(error.message)
  return errors.internal('unexpected', error)
}

function issuesOf(
  context: string,
  entry: { keyword: string; instancePath: string; message?: string; params: Record<string, unknown> },
): Issue[] {
  const prefix = PREFIX[context] ?? ''
  const path = entry.instancePath.slice(1).replaceAll('/', '.')
  const keys = entry.params['keys']
  if (entry.keyword === 'unrecognized_keys' && Array.isArray(keys))
    return keys.map((key) => ({ path: `${prefix}${path === '' ? '' : `${path}.`}${String(key)}`, reason: 'unknown field' }))
  return [{ path: path === '' ? context : `${prefix}${path}`, reason: entry.message ?? 'does not fit' }]
}
