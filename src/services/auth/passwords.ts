import { randomBytes } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'
import { errors } from '../../domain/errors.ts'

export const PASSWORD_MIN = 8
export const PASSWORD_MAX = 1024

/** OWASP's password storage cheat sheet for argon2id (the library's default algorithm): 19 MiB, two passes, one lane. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** Hashes at work at once. They run on the threads that also read and write files: they must not have them all. */
const AT_WORK = 2
/** Hashes that wait. Who comes then is told to come again. */
const WAITING = 64

/**
 * @throws CloisterError `invalid_argument` unless it has 8 to 1024 characters
 */
export function checkPasswordPolicy(password: string): void {
  if (password.length > PASSWORD_MAX || [...password].length < PASSWORD_MIN)
    throw errors.invalidArgument(`a password has ${PASSWORD_MIN} to ${PASSWORD_MAX} characters`, [
      { path: 'password', reason: `must have ${PASSWORD_MIN} to ${PASSWORD_MAX} characters` },
    ])
}

export interface PasswordAlgorithm {
  hash(password: string): Promise<string>
  verify(hashed: string, password: string): Promise<boolean>
}

const ARGON2ID: PasswordAlgorithm = {
  hash: (password) => hash(password, COST),
  verify: (hashed, password) => verify(hashed, password),
}

/** argon2id, a few at a time. Methods throw `rate_limited` when too many wait. */
export class Passwords {
  readonly #algorithm: PasswordAlgorithm
  #atWork = 0
  readonly #waiting: (() => void)[] = []
  #decoy: Promise<string> | undefined

  constructor(algorithm: PasswordAlgorithm = ARGON2ID) {
    this.#algorithm = algorithm
  }

  hash(password: string): Promise<string> {
    return this.#inTurn(() => this.#algorithm.hash(password))
  }

  /**
   * The same work whether there is a hash or not, so that the time does not tell which users exist.
   * @param hashed null: nobody has this password
   */
  async verify(hashed: string | null, password: string): Promise<boolean> {
    const given = password.length > PASSWORD_MAX ? '' : password
    this.#decoy ??= this.#algorithm.hash(randomBytes(32).toString('base64url'))
    const decoy = await this.#decoy
    const matches = await this.#inTurn(() => this.#algorithm.verify(hashed ?? decoy, given))
    return matches && hashed !== null && given === password
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#atWork >= AT_WORK) {
      if (this.#waiting.length >= WAITING) throw errors.rateLimited('too many logins at once: try again in a moment', 1)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else {
      this.#atWork++
    }
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#atWork--
    }
  }
}
