import { ApiError, type CloisterClient, type Session } from '../client/cloister-client.ts'
import { CliError } from './cli-error.ts'
import { EXIT } from './exit-codes.ts'

/** Ids that the server makes. */
const ID = /^ses_[0-9a-z]{20,}$/

/**
 * The id of a session that is given by id or by name: an id goes before a name, and a name has to be that of one session of the
 * caller's own. The credential of an agent, which may look at no session, names its own by id.
 * @throws ApiError not_found when there is neither; CliError when several have the name
 */
export async function sessionId(client: CloisterClient, given: string): Promise<string> {
  if (ID.test(given)) return given
  try {
    return (await client.getSession(given)).id
  } catch (error) {
    if (error instanceof ApiError && error.code === 'permission_denied') return given
    if (!(error instanceof ApiError) || (error.code !== 'not_found' && error.code !== 'invalid_argument')) throw error
    const named = await ownSessions(client, given, error)
    if (named.length > 1)
      throw new CliError(
        'ambiguous',
        EXIT.usage,
        `${named.length} of your sessions have the name ${JSON.stringify(given)}`,
        `give an id: ${named.map(({ id, state }) => `${id} (${state})`).join(', ')}`,
      )
    if (!named[0]) throw error
    return named[0].id
  }
}

/**
 * The same where people also have to do with sessions that are not theirs, and cannot look at: who may approve a call of one. What is
 * no session of theirs is taken as it is.
 */
export async function sessionIdOrAnothers(client: CloisterClient, given: string): Promise<{ id: string; own: boolean }> {
  try {
    return { id: await sessionId(client, given), own: true }
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return { id: given, own: false }
    throw error
  }
}

async function ownSessions(client: CloisterClient, name: string, notFound: ApiError): Promise<Session[]> {
  if (name.length > 200 || name === '') return []
  const found: Session[] = []
  try {
    const { tenant_id, actor_id } = await client.me()
    for (let cursor: string | undefined; ; ) {
      const page = await client.listSessions({ q: name, limit: 200, ...(cursor === undefined ? {} : { cursor }) })
      const mine = ({ owner }: Session) => owner.tenant_id === tenant_id && owner.actor_id === actor_id
      found.push(...page.sessions.filter((session) => session.name === name && mine(session)))
      if (page.next_cursor === null) return found
      cursor = page.next_cursor
    }
  } catch (error) {
    // Who may not list sessions has none of that name: the credential of an agent, say.
    if (error instanceof ApiError && error.code === 'permission_denied') throw notFound
    throw error
  }
}
