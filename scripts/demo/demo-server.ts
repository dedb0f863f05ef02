import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../src/cli/cli.ts', import.meta.url))

/** A Cloister server as a process of its own. */
export class DemoServer {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(url: string, child: ChildProcess) {
    this.url = url
    this.#child = child
  }

  /** Resolves when it listens. @throws with what it printed when it does not come up */
  static async start(env: NodeJS.ProcessEnv): Promise<DemoServer> {
    // A process group of its own: Ctrl-C is for the demo, which ends the server when it has tidied up with its help.
    const child = spawn(process.execPath, [CLI, 'serve'], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let output = ''
    const url = await new Promise<string>((resolve, reject) => {
      const onData = (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-20_000)
        const listening = /listens on (http:\/\/\S+)/.exec(output)
        if (listening?.[1]) resolve(listening[1])
      }
      child.stdout.on('data', onData)
      child.stderr.on('data', onData)
      child.once('error', reject)
      child.once('exit', (code, signal) =>
        reject(new Error(`the server ended with ${code ?? signal} before it listened:\n${output}`)),
      )
    })
    return new DemoServer(url, child)
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGTERM')
    await once(this.#child, 'exit')
  }
}
