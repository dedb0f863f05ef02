import { z } from 'zod'
import { EVENT_TYPES } from '../../domain/event.ts'
import { jsonObject, time } from './common.ts'
import { actorSchema } from './invocation.ts'

export const eventSchema = z
  .object({
    session_id: z.string(),
    seq: z.number().int().describe('From 1, without gaps.'),
    type: z.enum(EVENT_TYPES),
    at: time(),
    actor: actorSchema,
    data: jsonObject(),
    prev_hash: z.string(),
    hash: z.string().describe('SHA-256 of the canonical JSON (RFC 8785) of the other fields.'),
  })
  .meta({ id: 'Event', description: "One entry of a session's append-only, hash-chained log." })
