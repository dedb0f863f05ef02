import { z } from 'zod'
import { time } from './common.ts'

export const messageSchema = z
  .object({
    id: z.string(),
    session_id: z.string(),
    seq: z.number().int(),
    role: z.enum(['user', 'agent', 'system']),
    content: z.string(),
    turn_id: z.string().nullable(),
    usage: z.object({ input_tokens: z.number().int(), output_tokens: z.number().int() }).nullable(),
    created_at: time(),
  })
  .meta({ id: 'Message', description: 'One line of the conversation.' })
