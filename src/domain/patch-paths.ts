import { decodeUtf8 } from './utf8.ts'

/** What a patch does to one file. Paths are relative to the repository's root, without the `a/` and `b/` prefixes. */
export interface PatchFile {
  /** Null: the patch makes the file. */
  old_path: string | null
  /** Null: the patch deletes the file. */
  new_path: string | null
  /** Octal file modes that the patch names for what it leaves behind (`new file mode`, `new mode`, `index`). */
  modes: number[]
}

export type ParsedPatch = { files: PatchFile[] } | { error: string }

/**
 * Every path that a unified diff names: both sides, renames, copies, mode changes, new and deleted files; sorted, each once.
 * Reads patches as `git apply -p1` does (apply.c of git 2.39) and refuses whatever git would read in another way or not at
 * all, so that no path can hide from the check. Pure.
 */
export function patchPaths(patch: string): { paths: string[] } | { error: string } {
  const parsed = parsePatch(patch)
  if ('error' in parsed) return parsed
  const paths = parsed.files.flatMap((file) => [file.old_path, file.new_path]).filter((path) => path !== null)
  return { paths: [...new Set(paths)].sort() }
}

/** As `patchPaths`, file by file. */
export function parsePatch(patch: string): ParsedPatch {
  try {
    const files = new PatchReader(patch).read()
    if (files.length === 0)
      return {
        error: 'the patch names no file: it must be a unified diff as "git diff" prints it ("--- a/x", "+++ b/x", "@@ ... @@")',
      }
    return { files }
  } catch (error) {
    if (error instanceof PatchSyntaxError) return { error: error.message }
    throw error
  }
}

class PatchSyntaxError extends Error {}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/

/** Extended headers that may stand between `diff --git` and the first hunk. */
const EXTENDED =
  /^(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename old|rename new|rename from|rename to|similarity index|dissimilarity index|index) (.*)$/

class PatchReader {
  readonly #lines: string[]
  #at = 0

  constructor(patch: string) {
    this.#lines = patch.split('\n')
  }

  read(): PatchFile[] {
    const files: PatchFile[] = []
    while (this.#at < this.#lines.length) {
      const line = this.#line()
      if (line.startsWith('diff --git ')) files.push(this.#gitFile())
      else if (line.startsWith('--- ') && this.#line(1).startsWith('+++ ')) files.push(this.#plainFile())
      else if (HUNK.test(line)) this.#fail('a hunk without a "---" and "+++" header before it')
      else this.#at++
    }
    return files
  }

  #line(ahead = 0): string {
    return this.#lines[this.#at + ahead] ?? ''
  }

  #fail(reason: string, line = this.#at): never {
    throw new PatchSyntaxError(`line ${line + 1} of the patch: ${reason}`)
  }

  #gitFile(): PatchFile {
    const start = this.#at
    const common = this.#commonName(this.#line().slice('diff --git '.length))
    const names: { old: string | null | undefined; new: string | null | undefined } = { old: undefined, new: undefined }
    const modes: number[] = []
    let isNew = false
    let isDeleted = false
    this.#at++
    for (; this.#at < this.#lines.length; this.#at++) {
      const line = this.#line()
      if (line.startsWith('--- ')) {
        this.#note(names, 'old', this.#name(line.slice(4), true))
        // Without these headers before it git takes "/dev/null" for a file "dev/null" in the work tree.
        if (names.old === null && !isNew)
          this.#fail('"--- /dev/null" needs a line "new file mode 100644" before it, after "diff --git"')
        continue
      }
      if (line.startsWith('+++ ')) {
        this.#note(names, 'new', this.#name(line.slice(4), true))
        if (names.new === null && !isDeleted)
          this.#fail('"+++ /dev/null" needs a line "deleted file mode 100644" before it, after "diff --git"')
        continue
      }
      const header = EXTENDED.exec(line)
      if (!header) break
      const [, key, value] = header as unknown as [string, string, string]
      if (key === 'new file mode' || key === 'new mode') modes.push(this.#mode(value))
      if (key === 'index') {
        const mode = /^[0-9a-f]+\.\.[0-9a-f]+ (\d+)\s*$/.exec(value)?.[1]
        if (mode) modes.push(this.#mode(mode))
      }
      if (key === 'new file mode') isNew = true
      if (key === 'deleted file mode') isDeleted = true
      if (/^(rename (from|old)|copy from)$/.test(key)) this.#note(names, 'old', this.#name(value, false))
      if (/^(rename (to|new)|copy to)$/.test(key)) this.#note(names, 'new', this.#name(value, false))
    }
    this.#hunks()
    let oldPath = names.old
    let newPath = names.new
    // Git takes the name from here for some header lines ("new file mode"), and from the other lines for the rest.
    if (common !== undefined && [oldPath, newPath].some((path) => typeof path === 'string' && path !== common))
      this.#fail('the names after "diff --git" are not those of the lines after it', start)
    if (isNew && oldPath === undefined) oldPath = null
    if (isDeleted && newPath === undefined) newPath = null
    if (oldPath === undefined) oldPath = common
    if (newPath === undefined) newPath = common
    if (oldPath === undefined || newPath === undefined || (oldPath === null && newPath === null))
      this.#fail(
        '"diff --git" without a file name that git could tell: both sides differ, and no "---", "+++" or "rename" line says more',
        start,
      )
    return { old_path: oldPath, new_path: newPath, modes: isDeleted ? [] : modes }
  }

  /** A side may be named twice (`rename to` and `+++`), but not differently. */
  #note(
    names: { old: string | null | undefined; new: string | null | undefined },
    side: 'old' | 'new',
    path: string | null,
  ): void {
    if (names[side] !== undefined && names[side] !== path) this.#fail('it names another file than the lines before it')
    names[side] = path
  }

  #plainFile(): PatchFile {
    const oldPath = this.#name(this.#line().slice(4), true, true)
    this.#at++
    const newPath = this.#name(this.#line().slice(4), true, true)
    this.#at++
    if (!HUNK.test(this.#line())) this.#fail('"@@ -line,count +line,count @@" is missing after "---" and "+++"')
    this.#hunks()
    if (oldPath === null && newPath === null) this.#fail('both sides are /dev/null')
    // Git would silently take the shorter of the two.
    if (oldPath !== null && newPath !== null && oldPath !== newPath)
      this.#fail('both sides must name the same file; a rename needs "diff --git", "rename from" and "rename to" lines')
    return { old_path: oldPath, new_path: newPath, modes: [] }
  }

  /** Skips hunks by the counts in their headers, so that a removed line "-- x" is not taken for a header. */
  #hunks(): void {
    for (let header = HUNK.exec(this.#line()); header; header = HUNK.exec(this.#line())) {
      const start = this.#at
      let before = Number(header[2] ?? 1)
      let after = Number(header[4] ?? 1)
      this.#at++
      while (before > 0 || after > 0) {
        if (this.#at >= this.#lines.length - (this.#lines.at(-1) === '' ? 1 : 0))
          this.#fail(
            'the hunk has fewer lines than its header says: correct the counts in "@@ -line,count +line,count @@"',
            start,
          )
        const mark = this.#line()[0]
        if (mark === undefined || mark === ' ' || mark === '\r') {
          before--
          after--
        } else if (mark === '-') before--
        else if (mark === '+') after--
        else if (mark !== '\\') this.#fail('a line of a hunk must start with a blank, "-" or "+"')
        this.#at++
      }
      if (before < 0 || after < 0)
        this.#fail('the hunk has more lines than its header says: correct the counts in "@@ -line,count +line,count @@"', start)
      while (this.#line().startsWith('\\ ')) this.#at++
      if (/^[-+ ]/.test(this.#line()) && !/^(--- |-- ?$)/.test(this.#line()))
        this.#fail('the hunk has more lines than its header says: correct the counts in "@@ -line,count +line,count @@"', start)
    }
  }

  #mode(text: string): number {
    const digits = /^[0-7]{1,7}(?=\s*$)/.exec(text)?.[0]
    if (digits === undefined) this.#fail('a file mode must be octal digits')
    return Number.parseInt(digits, 8)
  }

  /**
   * One name of a header line. `prefixed`: it carries `a/` or `b/`. `plain`: of a patch without `diff --git`, where git cuts a
   * time stamp off.
   */
  #name(text: string, prefixed: boolean, plain = false): string | null {
    let name: string
    if (text.startsWith('"')) {
      const quoted = this.#unquote(text)
      if (!/^[\t\r ]*$/.test(quoted.rest) && !(prefixed && quoted.rest.startsWith('\t')))
        this.#fail('something stands after the quoted name')
      name = quoted.name
    } else {
      name = (prefixed ? text.split('\t', 1)[0] : text)?.replace(/\r$/, '') ?? ''
      if (plain && name === text.replace(/\r$/, '') && /\s[\d:.-]+(\s|$)/.test(name))
        this.#fail('what stands after the name must be separated from it by a tab')
    }
    if (prefixed && /^\/dev\/null\s*$/.test(name)) return null
    return this.#checked(prefixed ? this.#strip(name) : name)
  }

  #strip(name: string): string {
    if (!/^[abciow12]\/./.test(name))
      this.#fail(`${JSON.stringify(name)} must be written with the prefix "a/" or "b/", as "git diff" does`)
    return name.slice(2)
  }

  #checked(name: string): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(name)) this.#fail('a name holds a control character')
    if (name === '' || name.startsWith('/')) this.#fail(`${JSON.stringify(name)} is not a path relative to the repository`)
    // Git squeezes double slashes before it looks at a path; ".." stays, for policy to refuse.
    return name.replace(/\/{2,}/g, '/')
  }

  /** The name on a `diff --git` line when both sides have the same one; else undefined, and other lines must say it. */
  #commonName(text: string): string | undefined {
    const line = text.replace(/\r$/, '')
    if (line.includes('"')) {
      const pair = this.#quotedPair(line)
      if (!pair) this.#fail('the names after "diff --git" cannot be told apart')
      const [left, right] = pair.map((name) => this.#checked(this.#strip(name)))
      return left === right ? left : undefined
    }
    for (let at = line.search(/[ \t]/); at !== -1; at = nextBlank(line, at)) {
      const [left, right] = [line.slice(0, at), line.slice(at + 1)]
      if (left.includes('/') && right.includes('/') && left.slice(left.indexOf('/')) === right.slice(right.indexOf('/')))
        return this.#checked(this.#strip(left))
    }
    return undefined
  }

  #quotedPair(line: string): [string, string] | null {
    if (line.startsWith('"')) {
      const { name, rest } = this.#unquote(line)
      const second = rest.trimStart()
      if (!second.startsWith('"')) return second === '' ? null : [name, second]
      const last = this.#unquote(second)
      return last.rest.trim() === '' ? [name, last.name] : null
    }
    const at = line.indexOf(' "')
    if (at === -1) return null
    const last = this.#unquote(line.slice(at + 1))
    return last.rest.trim() === '' ? [line.slice(0, at), last.name] : null
  }

  /** Git's C-style quoting: `\a \b \t \n \v \f \r \" \\` and three octal digits for a byte. */
  #unquote(text: string): { name: string; rest: string } {
    const bytes: Buffer[] = []
    let at = 1
    while (at < text.length && text[at] !== '"') {
      if (text[at] !== '\\') {
        const end = at + (/^[^"\\]+/.exec(text.slice(at))?.[0].length ?? 1)
        bytes.push(Buffer.from(text.slice(at, end)))
        at = end
        continue
      }
      const octal = /^\\([0-3][0-7]{2})/.exec(text.slice(at))
      if (octal) {
        bytes.push(Buffer.from([Number.parseInt(octal[1] as string, 8)]))
        at += 4
        continue
      }
      const escaped = ESCAPES[text[at + 1] ?? '']
      if (escaped === undefined) this.#fail('a quoted name holds an unknown escape')
      bytes.push(Buffer.from(escaped))
      at += 2
    }
    if (text[at] !== '"') this.#fail('a quoted name has no closing quote')
    const name = decodeUtf8(Buffer.concat(bytes))
    if (name === null) this.#fail('a quoted name is not UTF-8')
    return { name, rest: text.slice(at + 1) }
  }
}

const ESCAPES: Record<string, string> = {
  a: '\x07',
  b: '\b',
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  '"': '"',
  '\\': '\\',
}

function nextBlank(line: string, after: number): number {
  const found = line.slice(after + 1).search(/[ \t]/)
  return found === -1 ? -1 : after + 1 + found
}
