import { z } from 'zod'
import { CloisterError, errors } from '../../../domain/errors.ts'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import type { EventStreams } from '../../event-streams.ts'
import type { Authenticator } from '../../plugins/authenticators/authenticator.ts'
import { flag, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { eventSchema } from '../../schemas/event.ts'

/** Refusals that end a stream that was allowed when it began. Whatever else goes wrong at a heartbeat may pass. */
const ENDING = new Set(['unauthorized', 'permission_denied', 'not_found'])

export function listEvents(
  app: App,
  { sessions, eventLog }: AppDependencies,
  streams: EventStreams,
  authenticator: Authenticator,
): void {
  app.get(
    '/v1/sessions/:session_id/events',
    {
      schema: {
        operationId: 'listEvents',
        tags: ['events'],
        summary: "Read or follow the session's events",
        description:
          'JSON pages; with `Accept: text/event-stream` a stream: what is there, then what happens, with the seq as event id. `Last-Event-ID` resumes. Deltas (`message.delta`, `invocation.output`) have no id and are only streamed. The stream ends after `session.deleted`.',
        params: sessionParams,
        querystring: z.strictObject({
          after: z.coerce.number().int().min(0).default(0).describe('Events with a greater seq.'),
          limit: z.coerce.number().int().min(1).max(1000).default(200).describe('Events of a JSON page.'),
          deleted: flag().optional().describe('Also of a deleted session.'),
        }),
        response: responds(
          {
            200: {
              description: 'Events, in order of seq.',
              content: {
                'application/json': {
                  schema: z.object({
                    events: z.array(eventSchema),
                    next_after: z.number().int().describe('Give it as `after` for what comes next.'),
                  }),
                },
                'text/event-stream': { schema: z.string() },
              },
            },
          },
          403,
          404,
        ),
      },
    },
    async (request, reply) => {
      const { session_id } = request.params
      const { after, limit, deleted = false } = request.query
      await sessions.get(request.caller, session_id, { deleted })

      if (!acceptsStream(request.headers.accept)) {
        const events = await eventLog.list(session_id, after, limit)
        return reply.type('application/json; charset=utf-8').send({ events, next_after: events.at(-1)?.seq ?? after })
      }

      const { stream, end } = streams.start({
        sessionId: session_id,
        after: resumeAfter(request.headers['last-event-id']) ?? after,
        stillAllowed: async () => {
          try {
            // The session may be deleted by now: its last event must still reach the reader.
            await sessions.get(await authenticator.authenticate(request), session_id, { deleted: true })
            return true
          } catch (error) {
            if (error instanceof CloisterError && ENDING.has(error.code)) return false
            request.log.warn({ err: error }, 'could not check whether an event stream is still allowed')
            return true
          }
        },
        drop: () => reply.raw.destroy(),
      })
      reply.raw.once('close', end)
      if (reply.raw.destroyed) end()
      return reply
        .type('text/event-stream')
        .header('cache-control', 'no-cache, no-transform')
        .header('x-accel-buffering', 'no')
        .send(stream)
    },
  )
}

/** Only who says `text/event-stream` gets a stream: a bare wildcard, as curl sends it, means JSON. */
function acceptsStream(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((range) => {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === 'text/event-stream' && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

function resumeAfter(header: string | string[] | undefined): number | null {
  if (header === undefined || header === '') return null
  const seq = Number(header)
  if (typeof header !== 'string' || !/^\d{1,15}$/.test(header) || !Number.isSafeInteger(seq))
    throw errors.invalidArgument('Last-Event-ID must be the seq of an event', [
      { path: 'header.last-event-id', reason: 'not a seq' },
    ])
  return seq
}
