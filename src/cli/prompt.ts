import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { CliError } from './cli-error.ts'
import { EXIT } from './exit-codes.ts'
import { plainText } from './terminal-text.ts'

/** Questions to the person at the terminal, on stderr, so that stdout stays the command's answer. */
export interface Prompter {
  ask(question: string): Promise<string>
  /** Null when the signal took the question back. @throws CliError `interrupted` by Ctrl-C, `no_answer` by Ctrl-D */
  ask(question: string, signal: AbortSignal): Promise<string | null>
  /** What is typed is not shown. */
  askHidden(question: string): Promise<string>
}

/** Undefined where nobody can answer: input or stderr is not a terminal. */
export function terminalPrompter(): Prompter | undefined {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined
  return {
    ask: (question: string, signal?: AbortSignal) =>
      askOn(question, false, signal).catch((error: unknown) => {
        // Of these the caller that gave a signal knows.
        if (signal?.aborted) return null as never
        throw error
      }),
    askHidden: (question) => askOn(question, true),
  }
}

async function askOn(question: string, hidden: boolean, signal?: AbortSignal): Promise<string> {
  // readline echoes through its output: shown is only what this lets pass.
  let muted = false
  const output = new Writable({
    write(chunk, _encoding, done) {
      if (!muted) process.stderr.write(chunk)
      done()
    },
  })
  const readline = createInterface({ input: process.stdin, output, terminal: true })
  const closed = new Promise<never>((_resolve, reject) => {
    readline.once('SIGINT', () => reject(new CliError('interrupted', EXIT.failed, 'interrupted')))
    readline.once('close', () => reject(new CliError('no_answer', EXIT.failed, 'no answer')))
  })
  try {
    const answer = readline.question(plainText(question), signal ? { signal } : {})
    muted = hidden
    return await Promise.race([answer, closed])
  } finally {
    muted = false
    if (hidden || signal?.aborted) process.stderr.write('\n')
    // Its own rejection is of no interest once an answer is there.
    closed.catch(() => {})
    readline.close()
  }
}
