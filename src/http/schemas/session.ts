import { z } from 'zod'
import { ISOLATION_LEVELS, SESSION_STATES } from '../../domain/session.ts'
import { principalName, time } from './common.ts'

const limitEnforcement = z.enum(['cgroup2', 'cgroup1', 'rlimit', 'absent'])

export const isolationSchema = z
  .object({
    level: z.enum(ISOLATION_LEVELS),
    namespaces: z.array(z.string()),
    network: z.enum(['none', 'host']),
    seccomp: z.boolean(),
    no_new_privileges: z.boolean(),
    uid: z.enum(['own', 'shared']),
    limits: z.object({ memory: limitEnforcement, cpus: limitEnforcement, pids: limitEnforcement }),
  })
  .meta({ id: 'Isolation', description: 'What isolation the sandbox actually got.' })

const principalSchema = z.object({ tenant_id: z.string(), actor_id: z.string(), roles: z.array(z.string()) })

const budgetSchema = z
  .object({
    steps: z.number().int().nullable(),
    tokens: z.number().int().nullable(),
    cost_usd: z.number().nullable(),
    seconds: z.number().nullable(),
  })
  .describe('Null: no limit.')

export const sessionSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    state: z.enum(SESSION_STATES),
    state_reason: z.string().nullable(),
    owner: z.object({ tenant_id: z.string(), actor_id: z.string() }),
    principal: principalSchema,
    allowed_paths: z.array(z.string()),
    metadata: z.record(z.string(), z.string()),
    model: z.string().nullable(),
    repo_url: z.string().nullable(),
    repo_ref: z.string().nullable(),
    tools: z.object({ allow: z.array(z.string()), deny: z.array(z.string()) }),
    network: z.enum(['none', 'host']),
    limits: z.object({ memory_mb: z.number(), cpus: z.number(), pids: z.number() }),
    sandbox: z
      .object({ kind: z.string(), generation: z.number().int(), isolation: isolationSchema.nullable() })
      .nullable()
      .describe('Null while none runs.'),
    workspace_path: z.literal('/session/code'),
    parent_session_id: z.string().nullable(),
    usage: z.object({
      input_tokens: z.number().int(),
      output_tokens: z.number().int(),
      turns: z.number().int(),
      invocations: z.number().int(),
      steps: z.number().int().describe('Model calls that answered.'),
      cost_usd: z.number().describe('Of model calls whose price is known.'),
      seconds: z.number().describe('In which turns ran, without waiting for people.'),
    }),
    budgets: z
      .object({ turn: budgetSchema, session: budgetSchema })
      .describe("What the agent may use: for each turn, and for all of the session's turns together."),
    idle_timeout_seconds: z.number().int(),
    created_at: time(),
    last_activity_at: time(),
    expires_at: time().nullable(),
    closed_at: time().nullable(),
  })
  .meta({
    id: 'Session',
    description: 'A session. What it was created from (values given in confidence, instructions, setup) is never shown.',
  })

const askedBudgetSchema = z
  .strictObject({
    steps: z.number().int().min(1).optional(),
    tokens: z.number().int().min(1).optional(),
    cost_usd: z.number().positive().optional().describe('US dollars. Needs a price of the model in CLOISTER_CONFIG.'),
    seconds: z.number().positive().optional(),
  })
  .optional()

const seconds = () => z.number().int().min(1).max(31_536_000)

const metadata = () =>
  z
    .record(z.string().min(1).max(128), z.string().max(4096))
    .refine((value) => Object.keys(value).length <= 64, 'at most 64 entries')

const patterns = () => z.array(z.string().min(1).max(128)).max(200)

export const createSessionSchema = z
  .strictObject({
    session_id: z.string().max(64).optional().describe('`[a-z0-9][a-z0-9_-]{0,63}`. Absent: one is made.'),
    name: z.string().min(1).max(200).optional(),
    metadata: metadata().optional(),
    secrets: z
      .record(z.string(), z.string().max(1_048_576))
      .optional()
      .describe('Become files in /session/secrets and environment variables. Given at creation only, never returned.'),
    instructions: z.string().max(1_048_576).optional().describe('Markdown for the model, read afresh for every model call.'),
    setup: z.string().max(1_048_576).optional().describe('A script that runs each time a sandbox starts, before anything else.'),
    source_repo_path: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe("A directory of the server's machine to copy, under one of CLOISTER_SOURCE_ROOTS."),
    repo_url: z.string().min(1).max(2048).optional().describe('https only, from a host in CLOISTER_REPO_HOSTS.'),
    repo_ref: z.string().min(1).max(256).optional(),
    repo_auth_secret: z.string().min(1).max(128).optional().describe("Name of the session's secret that git authenticates with."),
    allowed_paths: z
      .array(z.string().min(1).max(4096))
      .max(100)
      .optional()
      .describe('Relative to /session/code. Default: `["."]`.'),
    principal: z
      .strictObject({
        tenant_id: principalName(),
        actor_id: principalName(),
        roles: z.array(z.string().min(1).max(64)).max(16).optional(),
      })
      .optional()
      .describe('Beside a token it must be the caller; admins may name another.'),
    model: z.string().min(1).max(200).optional().describe('`provider/id`.'),
    message: z.string().min(1).max(100_000).optional().describe('The first message.'),
    tools: z.strictObject({ allow: patterns().optional(), deny: patterns().optional() }).optional().describe('Names or globs.'),
    auto_approve: patterns()
      .optional()
      .describe('A standing approval for these tools. Never covers high risk unless an admin gave it.'),
    network: z.enum(['none', 'host']).optional(),
    isolation_floor: z.enum(ISOLATION_LEVELS).optional().describe('A start with less isolation is refused.'),
    limits: z
      .strictObject({
        memory_mb: z.number().int().min(64).max(1_048_576).optional(),
        cpus: z.number().min(0.1).max(1024).optional(),
        pids: z.number().int().min(16).max(1_000_000).optional(),
      })
      .optional(),
    budgets: z
      .strictObject({ turn: askedBudgetSchema, session: askedBudgetSchema })
      .optional()
      .describe("What the agent may use: model calls, tokens, money, wall time. The server's own limits hold besides."),
    expires_in_seconds: seconds().optional().describe('Absent: it does not expire.'),
    idle_timeout_seconds: seconds().optional(),
  })
  .meta({ id: 'CreateSession' })

export const updateSessionSchema = z
  .strictObject({
    name: z.string().min(1).max(200).optional(),
    metadata: metadata().optional(),
    idle_timeout_seconds: seconds().optional(),
    expires_in_seconds: seconds().nullable().optional().describe('From now; null: it does not expire.'),
  })
  .refine((fields) => Object.keys(fields).length > 0, 'name at least one field to change')
