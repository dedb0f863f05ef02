import type { z } from 'zod'
import type { Invocation } from '../domain/invocation.ts'
import { invocationSchema } from './schemas/invocation.ts'

/** An invocation as the API shows it: keys in schema order, so that the same record is the same JSON. */
export function renderInvocation(invocation: Invocation): z.output<typeof invocationSchema> {
  return invocationSchema.parse(invocation)
}
