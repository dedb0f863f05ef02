import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { CliError } from './cli-error.ts'
import { EXIT } from './exit-codes.ts'

const schema = z.object({
  servers: z.record(z.string(), z.object({ token: z.string(), user: z.string(), expires_at: z.string().nullable() })),
})

export type StoredCredential = z.output<typeof schema>['servers'][string]

/** Tokens by server, in one file that only its owner can read. Two servers' tokens never mix: a token is sent to its own server only. */
export class Credentials {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  get(url: string): StoredCredential | undefined {
    return this.#read().servers[key(url)]
  }

  set(url: string, credential: StoredCredential): void {
    const all = this.#read()
    all.servers[key(url)] = credential
    this.#write(all)
  }

  /** @returns whether there was one */
  delete(url: string): boolean {
    const all = this.#read()
    if (!all.servers[key(url)]) return false
    delete all.servers[key(url)]
    this.#write(all)
    return true
  }

  #read(): z.output<typeof schema> {
    let text: string
    try {
      text = readFileSync(this.#file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { servers: {} }
      throw error
    }
    const parsed = schema.safeParse(parseJson(text))
    if (!parsed.success)
      throw new CliError(
        'credentials_unreadable',
        EXIT.failed,
        `${this.#file} is not what "cloister login" writes`,
        'remove it and log in again',
      )
    return parsed.data
  }

  #write(all: z.output<typeof schema>): void {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 })
    const temporary = `${this.#file}.${process.pid}`
    writeFileSync(temporary, `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600 })
    // The mode above does not apply to a file that was left there.
    chmodSync(temporary, 0o600)
    renameSync(temporary, this.#file)
  }
}

function key(url: string): string {
  return new URL(url).origin
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Reported by the caller: undefined fits no schema.
    return undefined
  }
}
