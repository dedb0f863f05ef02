import { jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import { sha256 } from '../../domain/canonical-json.ts'

const AUDIENCE = 'cloister-api'
const TYPE = 'cloister-login+jwt'

const CLAIMS = z.object({ sub: z.string().min(1), tenant: z.string().min(1), pwd: z.string(), iat: z.number(), exp: z.number() })

export interface LoginTokensOptions {
  /** At least 32 bytes. */
  secret: Uint8Array
  /** Whole seconds. */
  ttlSeconds: number
  issuer: string
}

export interface LoginClaims {
  tenant_id: string
  actor_id: string
  /** Which of the user's passwords it was got with (`passwordMark`). */
  password: string
  /** Milliseconds since 1970. */
  issuedAt: number
}

/**
 * Tells a user's passwords apart, and users of one name one after the other: every hash has a salt of its own. So a token ends
 * with the password that it was got with, whatever the clocks say. Nothing of the password is in it.
 */
export function passwordMark(passwordHash: string): string {
  return sha256(passwordHash).slice(0, 32)
}

/** JWTs, HS256: who logged in, when. What the user may do is not in them, so that it can change at once. */
export class LoginTokens {
  readonly #options: LoginTokensOptions

  constructor(options: LoginTokensOptions) {
    if (options.secret.byteLength < 32) throw new Error('the key that signs login tokens must have at least 32 bytes')
    this.#options = options
  }

  async sign({ tenant_id, actor_id, password, issuedAt }: LoginClaims): Promise<{ token: string; expires_at: string }> {
    const expires = Math.floor(issuedAt / 1000) + this.#options.ttlSeconds
    // `iat` keeps the milliseconds (RFC 7519 allows fractions): a token made just before a deactivation must not outlive it.
    const token = await new SignJWT({ tenant: tenant_id, pwd: password })
      .setProtectedHeader({ alg: 'HS256', typ: TYPE })
      .setIssuer(this.#options.issuer)
      .setAudience(AUDIENCE)
      .setSubject(actor_id)
      .setIssuedAt(issuedAt / 1000)
      .setExpirationTime(expires)
      .sign(this.#options.secret)
    return { token, expires_at: new Date(expires * 1000).toISOString() }
  }

  /** Null for whatever is not a token of ours that is valid at this time. */
  async verify(token: string, now: Date): Promise<LoginClaims | null> {
    try {
      const { payload } = await jwtVerify(token, this.#options.secret, {
        algorithms: ['HS256'],
        typ: TYPE,
        issuer: this.#options.issuer,
        audience: AUDIENCE,
        currentDate: now,
      })
      const { sub, tenant, pwd, iat } = CLAIMS.parse(payload)
      return { tenant_id: tenant, actor_id: sub, password: pwd, issuedAt: Math.round(iat * 1000) }
    } catch {
      // Every reason is the same to the caller: a valid credential is needed.
      return null
    }
  }
}
