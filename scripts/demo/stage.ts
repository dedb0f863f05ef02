import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'

const CLI = fileURLToPath(new URL('../../src/cli/cli.ts', import.meta.url))
const COLOR = process.stdout.isTTY === true && !process.env['NO_COLOR']

type Style = Parameters<typeof styleText>[0]

function styled(style: Style, text: string): string {
  return COLOR ? styleText(style, text, { validateStream: false }) : text
}

export interface Finished {
  code: number
  stdout: string
}

/** What the person in front of the demo sees: numbered steps, explanations, and real commands with what they print. */
export class Stage {
  readonly #steps: number
  readonly #environment: NodeJS.ProcessEnv
  readonly #children = new Set<ChildProcess>()
  #step = 0

  /** @param environment of the commands */
  constructor(steps: number, environment: NodeJS.ProcessEnv) {
    this.#steps = steps
    this.#environment = environment
  }

  step(title: string): void {
    this.#step++
    process.stdout.write(`\n${styled(['bold', 'cyan'], `[${this.#step}/${this.#steps}] ${title}`)}\n`)
  }

  /** @returns whether every announced step was taken */
  get complete(): boolean {
    return this.#step === this.#steps
  }

  say(text: string): void {
    process.stdout.write(`${text}\n`)
  }

  good(text: string): void {
    process.stdout.write(`${styled('green', '✓')} ${text}\n`)
  }

  /** Runs `cloister ...` in front of the person. @throws if it does not exit with `expected` */
  async cloister(args: readonly string[], options: { expected?: number } = {}): Promise<void> {
    process.stdout.write(`${styled('dim', `$ cloister ${args.map(quoted).join(' ')}`)}\n`)
    const code = await this.#run(args, 'inherit').done
    this.#expect(args, code.code, options.expected ?? 0)
  }

  /** Runs `cloister ... --json` behind the scenes. @throws if it does not exit with one of `expected` (default: 0) */
  // biome-ignore lint/suspicious/noExplicitAny: the demo reads answers of every shape
  async ask(args: readonly string[], options: { expected?: number[] } = {}): Promise<any> {
    const { code, stdout } = await this.#run([...args, '--json'], 'pipe').done
    if (!(options.expected ?? [0]).includes(code)) this.#expect(args, code, 0)
    return JSON.parse(stdout)
  }

  /** Runs `cloister ... --json` behind the scenes and hands on each line that it prints, until `stop` is called. */
  // biome-ignore lint/suspicious/noExplicitAny: the demo reads answers of every shape
  watch(args: readonly string[], onLine: (value: any) => void): { stop: () => Promise<void> } {
    const { child, done } = this.#run([...args, '--json'], 'pipe')
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => onLine(JSON.parse(line)))
    return {
      stop: async () => {
        child.kill('SIGTERM')
        await done
      },
    }
  }

  /** Starts `cloister ...` in front of the person and goes on. */
  start(args: readonly string[]): { done: Promise<Finished> } {
    process.stdout.write(`${styled('dim', `$ cloister ${args.map(quoted).join(' ')}`)}\n`)
    return this.#run(args, 'inherit')
  }

  /** Ends what still runs. */
  async clear(): Promise<void> {
    for (const child of this.#children) child.kill('SIGTERM')
    await Promise.all([...this.#children].map((child) => once(child, 'exit')))
  }

  #expect(args: readonly string[], code: number, expected: number): void {
    if (code !== expected) throw new Error(`cloister ${args.map(quoted).join(' ')} exited with ${code}, not with ${expected}`)
  }

  #run(args: readonly string[], stdout: 'inherit' | 'pipe'): { child: ChildProcess; done: Promise<Finished> } {
    // No stdin: nobody is asked anything.
    const child = spawn(process.execPath, [CLI, ...args], { env: this.#environment, stdio: ['ignore', stdout, 'inherit'] })
    this.#children.add(child)
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    const done = new Promise<Finished>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        this.#children.delete(child)
        resolve({ code: code ?? (signal ? 128 : 1), stdout: text })
      })
    })
    return { child, done }
  }
}

function quoted(argument: string): string {
  return /^[\w./:@=,+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`
}
