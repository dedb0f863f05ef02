import { expect, test } from 'vitest'
import type { z } from 'zod'
import type { approvalSchema } from '../http/schemas/approval.ts'
import type { eventSchema } from '../http/schemas/event.ts'
import type { artifactSchema, invocationSchema, logLineSchema, policyCheckSchema } from '../http/schemas/invocation.ts'
import type { messageSchema } from '../http/schemas/message.ts'
import type { createSessionSchema, sessionSchema, updateSessionSchema } from '../http/schemas/session.ts'
import type { toolSchema } from '../http/schemas/tool.ts'
import type { apiTokenSchema, roleBindingSchema, userSchema } from '../http/schemas/user.ts'
import type * as api from './api-types.ts'

/** Each takes what the other gives, and no field is missing on either side. */
type Same<A, B> = [A, keyof A] extends [B, keyof B] ? ([B, keyof B] extends [A, keyof A] ? true : false) : false

/** What the client promises is what the server's schemas say: a difference does not compile. */
const same: [
  Same<api.Session, z.output<typeof sessionSchema>>,
  Same<api.CreateSession, z.input<typeof createSessionSchema>>,
  Same<api.UpdateSession, z.input<typeof updateSessionSchema>>,
  Same<api.Invocation, z.output<typeof invocationSchema>>,
  Same<api.PolicyCheck, z.output<typeof policyCheckSchema>>,
  Same<api.Artifact, z.output<typeof artifactSchema>>,
  Same<api.LogLine, z.output<typeof logLineSchema>>,
  Same<api.Approval, z.output<typeof approvalSchema>>,
  Same<api.Message, z.output<typeof messageSchema>>,
  Same<api.Event, z.output<typeof eventSchema>>,
  Same<api.User, z.output<typeof userSchema>>,
  Same<api.ApiToken, z.output<typeof apiTokenSchema>>,
  Same<api.RoleBinding, z.output<typeof roleBindingSchema>>,
  Same<keyof api.Tool, keyof z.output<typeof toolSchema>>,
] = [true, true, true, true, true, true, true, true, true, true, true, true, true, true]

test('the types of the client are those of the server', () => {
  expect(same.every(Boolean)).toBe(true)
})
