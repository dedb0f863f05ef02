import { z } from 'zod'

/** RFC 3339 UTC. Documented, not checked: what the store holds was written by us. */
export const time = () => z.string().meta({ format: 'date-time' })

/** Any JSON object. */
export const jsonObject = () => z.record(z.string(), z.unknown())

/** A query flag. */
export const flag = () => z.enum(['true', 'false']).transform((text) => text === 'true')

/** `?limit=&cursor=` of pages. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('Entries of a page.'),
  cursor: z.string().min(1).max(512).optional().describe('`next_cursor` of the page before.'),
}

/** Lines of a log are short, and wanted all: a page of them is longer. */
export const logPageQuery = {
  ...pageQuery,
  limit: z.coerce.number().int().min(1).max(1000).default(1000).describe('Lines of a page.'),
}

export const nextCursor = z.string().nullable().describe('Give it as `cursor` for the next page; null: there is no more.')

/** @param query as parsed by `pageQuery` */
export function pageRequest(query: { limit: number; cursor?: string | undefined }) {
  return { limit: query.limit, cursor: query.cursor ?? null }
}

export const sessionParams = z.strictObject({ session_id: z.string().min(1).max(128) })
export const invocationParams = z.strictObject({ invocation_id: z.string().min(1).max(128) })
export const connectorParams = z.strictObject({ connector: z.string().min(1).max(128) })
export const approvalParams = z.strictObject({ approval_id: z.string().min(1).max(128) })

/** A body without fields, which may be left out. A field in it is refused by name all the same. */
export const noBody = z.strictObject({}).nullish()

/**
 * A name of a tenant or an actor. No `/`, which separates the two in a principal's key.
 */
export const principalName = () =>
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/, 'letters, digits and . _ @ + -, at most 128, a letter or digit first')

export const approversSchema = z
  .array(z.array(z.string()))
  .describe('Who may approve: one of each list. `owner`, `admin`, `role:<tool role>`, `principal:<tenant>/<actor>`.')
