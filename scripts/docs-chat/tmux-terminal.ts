import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface TmuxOptions {
  /** The program and its arguments. */
  command: readonly string[]
  env: Record<string, string>
  cwd?: string
  columns: number
  rows: number
}

/** A program in a terminal that can be typed in and looked at: a tmux server of its own with one window. */
export class TmuxTerminal {
  readonly #folder: string
  readonly #status: string

  /** The program's end leaves its last screen there. */
  constructor({ command, env, cwd = '/', columns, rows }: TmuxOptions) {
    this.#folder = mkdtempSync(join(tmpdir(), 'cloister-tmux-'))
    this.#status = join(this.#folder, 'status')
    // What tmux itself says of a program that ended is not always there.
    const program = ['sh', '-c', '"$@"; echo $? > "$0"', this.#status, ...command]
    const variables = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
    const size = ['-x', String(columns), '-y', String(rows)]
    // With a configuration of its own: that of whoever runs this might change anything.
    this.#tmux(
      ['-f', '/dev/null', 'start-server', ';', 'set-option', '-g', 'remain-on-exit', 'on', ';']
        .concat(['set-option', '-g', 'history-limit', '20000', ';', 'set-option', '-g', 'status', 'off', ';'])
        .concat(['new-session', '-d', ...size, ...variables, '-c', cwd, '--', ...program]),
    )
  }

  /** Types text; `\r` is Enter. */
  type(text: string): void {
    this.#tmux(['send-keys', '-l', '--', text])
  }

  /** Presses keys by tmux's names: `C-c`, `Enter`, `Up`. */
  press(...keys: string[]): void {
    this.#tmux(['send-keys', ...keys])
  }

  /** Pastes as a terminal does: between marks when the program asked for them. */
  paste(text: string): void {
    this.#tmux(['set-buffer', '--', text])
    this.#tmux(['paste-buffer', '-p', '-r'])
  }

  /** All that was printed, lines that left the screen included: those that were too long whole again, or as they stand there with colours. */
  screen({ escapes = false } = {}): string {
    return this.#tmux(['capture-pane', '-p', '-S', '-', escapes ? '-e' : '-J']).replace(/[ \n]+$/, '\n')
  }

  /** Waits until the screen shows it. @throws with the screen, after `timeoutMs` */
  async shows(pattern: RegExp, timeoutMs = 20_000): Promise<string> {
    return await this.#until(() => (pattern.test(this.screen()) ? this.screen() : null), String(pattern), timeoutMs)
  }

  /** The exit code of the program, when it has ended. */
  async end(timeoutMs = 20_000): Promise<number> {
    const read = () => (existsSync(this.#status) ? readFileSync(this.#status, 'utf8') : '')
    return await this.#until(() => (read().endsWith('\n') ? Number(read()) : null), 'the end of the program', timeoutMs)
  }

  /** Ends the program and the terminal. */
  destroy(): void {
    this.#tmux(['kill-server'])
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #until<T>(look: () => T | null, what: string, timeoutMs: number): Promise<T> {
    for (const deadline = Date.now() + timeoutMs; ; await sleep(50)) {
      const seen = look()
      if (seen !== null) return seen
      if (Date.now() > deadline) throw new Error(`waited for ${what} in vain; the terminal shows:\n${this.screen()}`)
    }
  }

  #tmux(args: readonly string[]): string {
    const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', TERM: 'xterm-256color' }
    return execFileSync('tmux', ['-u', '-S', join(this.#folder, 'socket'), ...args], { encoding: 'utf8', env })
  }
}
