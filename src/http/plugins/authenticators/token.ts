import { errors } from '../../../domain/errors.ts'
import type { Auth } from '../../../services/contracts.ts'
import { type Authenticator, bearerOf } from './authenticator.ts'

/** `Authorization: Bearer`, with a login token, an API token or a session's token. */
export function tokenAuthenticator(auth: Auth): Authenticator {
  return {
    async authenticate(request) {
      const bearer = bearerOf(request)
      if (!bearer) throw errors.unauthorized()
      return auth.authenticate(bearer)
    },
    creator: (caller) => caller,
  }
}
