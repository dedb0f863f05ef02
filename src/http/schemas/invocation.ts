import { z } from 'zod'
import { type ApiErrorCode, COMMON_TOOL_ERRORS, HTTP_STATUS, OWN_TOOL_ERRORS, type ToolErrorCode } from '../../domain/errors.ts'
import { INVOCATION_STATUSES } from '../../domain/invocation.ts'
import { approversSchema, jsonObject, time } from './common.ts'

export const actorSchema = z
  .object({ kind: z.enum(['user', 'agent', 'mcp', 'system']), id: z.string() })
  .meta({ id: 'Actor', description: 'Who did it.' })

export const artifactSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    content_type: z.string(),
    size_bytes: z.number().int(),
    sha256: z.string(),
    created_at: time(),
  })
  .meta({ id: 'Artifact', description: 'A file that an invocation left behind.' })

const INVOCATION_ERRORS = [
  ...new Set([...OWN_TOOL_ERRORS, ...COMMON_TOOL_ERRORS, ...(Object.keys(HTTP_STATUS) as ApiErrorCode[])]),
]

export const EFFECTS = ['allow', 'deny', 'require_approval', 'standing_approval'] as const

/** Keys stand in the order in which they are sent: same record, same JSON. */
export const invocationSchema = z
  .object({
    id: z.string(),
    session_id: z.string(),
    turn_id: z.string().nullable(),
    tool_name: z.string(),
    args: jsonObject().describe('Redacted.'),
    args_digest: z.string().describe('SHA-256 of canonical {session_id, tool_name, args}, args as given.'),
    actor: actorSchema,
    correlation_id: z.string().nullable(),
    status: z.enum(INVOCATION_STATUSES),
    approval: z
      .object({ kind: z.enum(['given', 'standing', 'requested']), by: z.string().nullable(), approval_id: z.string().nullable() })
      .nullable()
      .describe('Where consent came from. `requested` without `by`: it waits for a yes, or none came.'),
    decision: z
      .object({
        rule: z.string(),
        reason: z.string(),
        policy_version: z.string().describe('Digest of the rules and policies that it was made under.'),
        effect: z.enum(EFFECTS).exactOptional(),
        policies: z.array(z.string()).exactOptional().describe("Ids of the administrator's policies that determined it."),
        approvers: approversSchema.exactOptional(),
      })
      .nullable(),
    started_at: time(),
    completed_at: time().nullable(),
    duration_ms: z.number().nullable(),
    exit_code: z.number().int().nullable(),
    trace_name: z.string(),
    span_name: z.string(),
    trace_id: z.string(),
    output: jsonObject().nullable().describe("Fits the tool's output schema."),
    output_ref: z
      .string()
      .nullable()
      .describe(
        'Artifact that holds the whole output, when it was cut, or is longer than what the model of the agent that called is shown.',
      ),
    logs_ref: z.string().nullable(),
    artifacts: z.array(artifactSchema),
    truncated: z.boolean(),
    error: z
      .object({
        code: z.enum(INVOCATION_ERRORS as [ApiErrorCode | ToolErrorCode, ...(ApiErrorCode | ToolErrorCode)[]]),
        message: z.string(),
        retryable: z.boolean(),
        details: jsonObject().exactOptional(),
      })
      .nullable(),
  })
  .meta({ id: 'Invocation', description: 'One recorded call of one tool.' })

export const logLineSchema = z
  .object({ at: time(), channel: z.enum(['stdout', 'stderr', 'cloister']), message: z.string() })
  .meta({ id: 'LogLine' })

export const policyCheckSchema = z
  .object({
    tool_name: z.string(),
    effect: z.enum(EFFECTS),
    allowed: z.boolean().describe('Not denied: it may still need an approval.'),
    requires_approval: z.boolean(),
    rule: z.string(),
    reason: z.string(),
    violations: z.array(z.string()),
    policies: z.array(z.string()).describe("Ids of the administrator's policies that determine it."),
    approvers: approversSchema,
    policy_version: z.string(),
  })
  .meta({ id: 'PolicyCheck', description: 'What policy says to a call. Nothing ran, nothing was recorded.' })
