import { HostFailure } from './host-failure.ts'
import type { FileScope } from './wire.ts'

const refuse = (name: string, wanted: string): never => {
  throw new HostFailure('invalid_argument', `${name}: ${wanted}`)
}

/** Typed access to a parsed JSON object or a query. Host has no dependencies, so this stands where a schema would. */
export class Fields {
  readonly #values: Record<string, unknown>
  readonly #path: string

  constructor(value: unknown, path = '') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(path || 'body', 'an object is wanted')
    this.#values = value as Record<string, unknown>
    this.#path = path
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#values, name) && this.#values[name] !== undefined
  }

  with(values: Record<string, unknown>): Fields {
    return new Fields({ ...this.#values, ...values }, this.#path)
  }

  isNull(name: string): boolean {
    return this.#values[name] === null
  }

  /** Without NUL bytes. `max`: UTF-16 code units. */
  string(name: string, max = 4096): string {
    const value = this.#get(name)
    if (typeof value !== 'string' || value.length > max)
      return refuse(this.#path + name, `a string of at most ${max} characters is wanted`)
    if (value.includes('\0')) return refuse(this.#path + name, 'NUL bytes are not allowed')
    return value
  }

  /** Names of operations, invocations and processes. */
  id(name: string): string {
    const value = this.string(name, 200)
    return /^[\x21-\x7e]+$/.test(value) ? value : refuse(this.#path + name, 'printable ASCII without spaces is wanted')
  }

  integer(name: string, min: number, max: number): number {
    const value = this.#get(name)
    if (!Number.isSafeInteger(value)) return refuse(this.#path + name, 'an integer is wanted')
    const number = value as number
    return number < min || number > max ? refuse(this.#path + name, `an integer from ${min} to ${max} is wanted`) : number
  }

  boolean(name: string): boolean {
    const value = this.#get(name)
    return typeof value === 'boolean' ? value : refuse(this.#path + name, 'true or false is wanted')
  }

  /** Octal permission bits without setuid, setgid and sticky. */
  mode(name: string): number {
    const value = this.string(name, 6)
    return /^0?[0-7]{3}$/.test(value) ? Number.parseInt(value, 8) : refuse(this.#path + name, 'a mode like "0644" is wanted')
  }

  base64(name: string, maxBytes: number): Buffer {
    const value = this.string(name, Math.ceil(maxBytes / 3) * 4)
    const bytes = Buffer.from(value, 'base64')
    return bytes.toString('base64') === value ? bytes : refuse(this.#path + name, 'padded base64 is wanted')
  }

  strings(name: string, min: number, max: number, maxLength: number): string[] {
    const value = this.#get(name)
    if (!Array.isArray(value) || value.length < min || value.length > max)
      return refuse(this.#path + name, `a list of ${min} to ${max} strings is wanted`)
    for (const item of value) {
      if (typeof item !== 'string' || item.length > maxLength || item.includes('\0'))
        return refuse(this.#path + name, `strings of at most ${maxLength} characters without NUL are wanted`)
    }
    return value as string[]
  }

  /** Environment variables. */
  environment(name: string): Record<string, string> {
    const value = new Fields(this.#get(name), `${this.#path}${name}.`)
    const environment: Record<string, string> = {}
    for (const key of Object.keys(value.#values)) {
      if (key === '' || key.includes('=') || key.includes('\0'))
        return refuse(this.#path + name, 'a variable has an unusable name')
      environment[key] = value.string(key, 1024 * 1024)
    }
    return environment
  }

  object(name: string): Fields {
    return new Fields(this.#get(name), `${this.#path}${name}.`)
  }

  scope(): FileScope {
    return { path: this.string('path'), roots: this.strings('roots', 1, 100, 4096) }
  }

  optional<T>(name: string, read: (name: string) => T): T | undefined {
    return this.has(name) ? read(name) : undefined
  }

  #get(name: string): unknown {
    if (!Object.hasOwn(this.#values, name)) return refuse(this.#path + name, 'it is missing')
    return this.#values[name]
  }
}
