import { SecretMatcher, type SecretStream } from './secret-matcher.ts'

/** Values shorter than this are accepted as secrets and not redacted: they would match everywhere. */
export const MIN_REDACTED_LENGTH = 6

/**
 * Replaces secret values by `[secret:NAME]` in whatever leaves. Pure; one per session.
 *
 * A net against accidents, not a boundary: a value is found as it is, line by line, with any of its characters escaped as in URLs,
 * forms, JSON or HTML, each as it comes, and in its base64 forms. A program in the sandbox that wants to get a value out past it
 * can (reversed, encrypted, escaped twice, base64 broken over lines, bit by bit).
 */
export interface Redactor {
  text(text: string): string
  /**
   * `text.slice(start, end)` as it looks where the whole is redacted: of a value that lies over an end no piece is left. To be used
   * wherever text is cut before it leaves, because a piece is found by nothing that comes later. What looks like the beginning of a
   * value where the text is cut is left out, so the answer may be shorter, and with placeholders in it longer, than what was asked for.
   */
  excerpt(text: string, start: number, end?: number): string
  /** Every string (keys too) of a JSON value, and every number that is one of the values. */
  value<T>(value: T): T
  /** Names of the secrets whose value, or whose placeholder, stands in this JSON value. Empty: none. */
  find(value: unknown): string[]
  /** For a stream of text chunks: holds back what may be the beginning of a secret. `end` gives the rest. */
  stream(): SecretStream<string>
  /** The same for bytes, whatever they encode: what holds no secret comes out unchanged. */
  bytes(): SecretStream<Buffer>
}

/** @param secrets values by name */
export function makeRedactor(secrets: Record<string, string>): Redactor {
  const matcher = new SecretMatcher(needles(secrets))
  const numbers = numericSecrets(secrets)

  const text = (input: string): string => {
    const stream = matcher.stream()
    return stream.push(input) + stream.end()
  }

  const nameOf = (value: number): string | undefined => numbers.get(Math.abs(value))

  const mapValue = (value: unknown): unknown => {
    if (typeof value === 'string') return text(value)
    if (typeof value === 'number') {
      const name = nameOf(value)
      return name === undefined ? value : placeholder(name)
    }
    if (Array.isArray(value)) return value.map(mapValue)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [text(key), mapValue(member)]))
  }

  const collect = (value: unknown, found: Set<string>): void => {
    if (typeof value === 'string') {
      const stream = matcher.stream()
      stream.push(value)
      stream.end()
      for (const name of stream.found) found.add(name)
    } else if (typeof value === 'number') {
      const name = nameOf(value)
      if (name !== undefined) found.add(name)
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, member] of Object.entries(value)) {
        collect(key, found)
        collect(member, found)
      }
    }
  }

  return {
    text,
    excerpt: (input, start, end = input.length) => {
      const [from, to] = [position(start, input.length), position(end, input.length)]
      const stream = matcher.stream()
      stream.push(input.slice(0, from))
      const shown = stream.push(input.slice(from, to))
      return to < input.length ? shown : shown + stream.end()
    },
    value: <T>(value: T) => mapValue(value) as T,
    find: (value) => {
      const found = new Set<string>()
      collect(value, found)
      return [...found].sort()
    },
    stream: () => matcher.stream(),
    bytes: () => {
      const inner = matcher.stream()
      return {
        push: (chunk) => Buffer.from(inner.push(chunk.toString('latin1')), 'latin1'),
        end: () => Buffer.from(inner.end(), 'latin1'),
        found: inner.found,
      }
    },
  }
}

/** @param cut the end of the bytes is missing: what may be the beginning of a value there is left out */
export function redactBytes(redactor: Pick<Redactor, 'bytes'>, bytes: Buffer, cut: boolean): Buffer {
  const stream = redactor.bytes()
  const shown = stream.push(bytes)
  return cut ? shown : Buffer.concat([shown, stream.end()])
}

/** As `slice` counts: from the end if it is negative. */
function position(index: number, length: number): number {
  return index < 0 ? Math.max(0, length + index) : Math.min(index, length)
}

/**
 * Secrets that are numbers: as a number one is written to records in the same characters, or, where JSON cannot hold all of its digits,
 * in the first of them. By amount, because the sign is no secret.
 */
function numericSecrets(secrets: Record<string, string>): Map<number, string> {
  const all = new Map<number, string>()
  for (const [name, value] of Object.entries(secrets))
    for (const form of [value.trim(), ...lines(value)]) {
      if (!/^[+-]?\d+(\.\d+)?$/.test(form)) continue
      const amount = Math.abs(Number(form))
      // "0000000" is no reason to hide every zero.
      if (String(amount).length >= MIN_REDACTED_LENGTH && !all.has(amount)) all.set(amount, name)
    }
  return all
}

/** What stands for a secret's value in whatever leaves. */
function placeholder(name: string): string {
  return `[secret:${name}]`
}

/** Everything to look for, and the name that it betrays. Escapes in it are the matcher's matter. */
function needles(secrets: Record<string, string>): Map<string, { name: string; replacement: string }> {
  const all = new Map<string, { name: string; replacement: string }>()
  for (const [name, value] of Object.entries(secrets)) {
    const replacement = placeholder(name)
    const add = (needle: string) => {
      if (needle.length >= MIN_REDACTED_LENGTH && !all.has(needle)) all.set(needle, { name, replacement })
    }
    // A placeholder is found too, and replaced by itself: so a secret whose value is "secret" does not eat the placeholders.
    add(replacement)
    for (const form of new Set([value, value.trim(), ...lines(value)])) {
      if (form.length < MIN_REDACTED_LENGTH) continue
      for (const encoded of [form, ...base64Forms(Buffer.from(form, 'utf8'))]) {
        add(encoded)
        // As bytes read one by one see it.
        add(Buffer.from(encoded, 'utf8').toString('latin1'))
      }
    }
  }
  return all
}

/** The lines of a multi-line value that are secret: the armour of a PEM file is the same in all of them. */
function lines(value: string): string[] {
  return value
    .split(/\r?\n/)
    .flatMap((line) => [line, line.trim()])
    .filter((line) => !/^-----(BEGIN|END) [A-Z0-9 ]+-----$/.test(line.trim()))
}

/**
 * How the bytes look inside the base64 of something that holds them, for each of the three ways they can lie in the groups of
 * three bytes. Characters at the ends that also depend on neighbours are left out; the whole with its padding comes as well.
 */
function base64Forms(bytes: Buffer): string[] {
  const standard = [bytes.toString('base64')]
  for (const offset of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    standard.push(encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6)))
  }
  return standard.flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')])
}
