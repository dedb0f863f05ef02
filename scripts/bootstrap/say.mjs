import { spawn } from 'node:child_process'

/** What a person has to do. Printed as it is; the exit code is 2. */
export class Stop extends Error {}

export function say(message) {
  process.stderr.write(`cloister: ${message}\n`)
}

/**
 * Runs a command whose output only matters when it fails: every ten seconds a line says that it still runs. Interrupting the
 * terminal reaches the command too, since it stays in the same process group.
 * @returns {Promise<{code: number, output: string}>} `code` 127 when there is no such program
 */
export function quietly(what, command, args, options = {}) {
  return new Promise((resolve) => {
    const started = Date.now()
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    let output = ''
    const keep = (chunk) => {
      output = (output + chunk).slice(-20_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const beat = setInterval(() => say(`${what}: ${Math.round((Date.now() - started) / 1000)} s so far`), 10_000)
    const end = (code) => {
      clearInterval(beat)
      resolve({ code, output })
    }
    child.once('error', (error) => {
      output += error.message
      end(127)
    })
    child.once('close', (code, signal) => end(code ?? (signal === 'SIGINT' ? 130 : 143)))
  })
}

/** The end of a failed command's output, indented. */
export function tail(output) {
  return output
    .trimEnd()
    .split('\n')
    .slice(-25)
    .map((line) => `    ${line}`)
    .join('\n')
}
