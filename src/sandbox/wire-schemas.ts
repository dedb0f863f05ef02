import { z } from 'zod'
import type * as wire from '../host/wire.ts'

/** What host may answer. Everything that comes out of a sandbox is hostile: unknown fields are dropped, sizes are bounded. */

const count = z.number().int().nonnegative()
const path = z.string().max(65_536)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

export const hostErrorBody = z.object({
  error: z.object({
    code: z.enum([
      'unauthorized',
      'stale_epoch',
      'invalid_argument',
      'not_found',
      'path_denied',
      'is_directory',
      'not_a_directory',
      'exists',
      'changed',
      'too_large',
      'internal',
    ]),
    message: z.string().max(10_000),
  }),
}) satisfies z.ZodType<wire.HostErrorBody>

export const empty = z.object({})

export const hostHealth = z.object({
  session_id: z.string().max(200),
  generation: count,
  epoch: count,
  uptime_ms: count,
  open_operations: count,
}) satisfies z.ZodType<wire.HostHealth>

const execOutcome = z.object({
  exit_code: z.number().int().nullable(),
  signal: z.string().max(32).nullable(),
  timed_out: z.boolean(),
  cancelled: z.boolean(),
  output_limited: z.boolean(),
  spawn_error: z.string().max(10_000).nullable(),
  duration_ms: count,
  output_bytes: count,
  replayed: z.boolean(),
}) satisfies z.ZodType<wire.ExecOutcome>

export const execFrame = z.discriminatedUnion('t', [
  z.object({ t: z.literal('started'), pid: count }),
  z.object({ t: z.literal('out'), c: z.union([z.literal(1), z.literal(2)]), d: z.base64() }),
  z.object({ t: z.literal('gap'), dropped_bytes: count }),
  z.object({ t: z.literal('exit'), outcome: execOutcome }),
]) satisfies z.ZodType<wire.ExecFrame>

export const cancelResult = z.object({ killed: count })

export const outcomesResult = z.object({
  outcomes: z
    .array(
      z.object({
        id: z.string().max(200),
        invocation_id: z.string().max(200),
        kind: z.enum(['exec', 'file']),
        state: z.enum(['running', 'done']),
      }) satisfies z.ZodType<wire.OperationOutcome>,
    )
    .max(10_000),
})

const fileEntry = z.object({
  path,
  type: z.enum(['file', 'dir', 'symlink', 'other']),
  size_bytes: count,
  mode: z.string().regex(/^[0-7]{4}$/),
  modified_at: z.iso.datetime(),
}) satisfies z.ZodType<wire.FileEntry>

export const listResult = z.object({
  entries: z.array(fileEntry).max(100_000),
  truncated: z.boolean(),
}) satisfies z.ZodType<wire.ListResult>
export const statResult = z.object({ entry: fileEntry.nullable() }) satisfies z.ZodType<wire.StatResult>
export const digestResult = z.object({ sha256: sha256.nullable() }) satisfies z.ZodType<wire.DigestResult>
export const readResult = z.object({
  content_base64: z.base64(),
  size_bytes: count,
  sha256: sha256.nullable(),
}) satisfies z.ZodType<wire.ReadResult>
export const writeResult = z.object({
  bytes_written: count,
  sha256,
  created: z.boolean(),
  replayed: z.boolean(),
}) satisfies z.ZodType<wire.WriteResult>
export const mkdirResult = z.object({ created: z.boolean() }) satisfies z.ZodType<wire.MkdirResult>
export const moveResult = z.object({ type: z.enum(['file', 'dir', 'symlink', 'other']) }) satisfies z.ZodType<wire.MoveResult>
export const removeResult = z.object({ existed: z.boolean() }) satisfies z.ZodType<wire.RemoveResult>
export const keepResult = z.object({ kept: z.boolean() }) satisfies z.ZodType<wire.KeepResult>
export const restoreResult = z.object({ sha256 }) satisfies z.ZodType<wire.RestoreResult>

export const processInfo = z.object({
  process_id: z.string().max(200),
  command: z.string().max(10_000),
  state: z.enum(['running', 'exited']),
  exit_code: z.number().int().nullable(),
  started_at: z.iso.datetime(),
}) satisfies z.ZodType<wire.ProcessInfo>
export const processList = z.object({ processes: z.array(processInfo).max(1000) })
export const processOutput = z.object({
  text: z.string().max(4 * 1024 * 1024),
  next: count,
  dropped_bytes: count,
  state: z.enum(['running', 'exited']),
}) satisfies z.ZodType<wire.ProcessOutput>
export const stopResult = z.object({ stopped: z.boolean() })
