import { z } from 'zod'
import { type ApiErrorCode, HTTP_STATUS } from '../../domain/errors.ts'
import { jsonObject } from './common.ts'
import { invocationSchema } from './invocation.ts'

export const errorSchema = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(HTTP_STATUS) as ApiErrorCode[]),
      message: z.string().describe('What happened, and what would make it work.'),
      details: jsonObject().describe(
        '`issues` [{path, reason}] with invalid_argument; `rule` and `reason` with policy_denied; ...',
      ),
      request_id: z.string(),
    }),
    invocation: invocationSchema.optional().describe('The record that a refused invocation left.'),
  })
  .meta({ id: 'Error', description: 'Every refusal and failure has this shape.' })

const MEANING = {
  400: 'Malformed request, unknown field, or a schema that does not hold.',
  401: 'No credential, or a bad, expired or revoked one.',
  403: 'The role lacks the permission, or policy refused the call.',
  404: 'Unknown, deleted, or not yours.',
  409: 'Taken, or in a state that forbids it.',
  413: 'Too large.',
  416: 'The range starts behind the end; `Content-Range` says where that is.',
  428: 'The tool needs an approval and has none.',
  429: 'A quota is used up; see Retry-After.',
  500: 'Our fault.',
  503: 'A sandbox or the store is away.',
} as const

export type ErrorStatus = keyof typeof MEANING

const shown = (status: ErrorStatus) => ({
  description: MEANING[status],
  content: { 'application/json': { schema: errorSchema } },
})

/**
 * A route's responses: its own, and the errors that it can answer. 400, 401, 500 and 503 belong to every route that needs a
 * credential and are added.
 */
export function responds<Success extends object>(success: Success, ...errors: ErrorStatus[]) {
  const statuses = new Set<ErrorStatus>([400, 401, ...errors, 500, 503])
  return { ...success, ...publicErrors(...statuses) }
}

/** The errors of a public route, nothing added. */
export function publicErrors(...statuses: ErrorStatus[]): Partial<Record<ErrorStatus, ReturnType<typeof shown>>> {
  return Object.fromEntries([...new Set(statuses)].sort().map((status) => [status, shown(status)]))
}
