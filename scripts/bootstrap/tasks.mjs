import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'

const vitest = 'node_modules/vitest/vitest.mjs'

/**
 * What `npm run ...` can ask for. `commands` run one after the other until one fails; the last gets the arguments.
 * `system`: groups of system packages. `host`: needs the bundle that runs inside sandboxes.
 * @type {Record<string, {commands: string[][], system: ('run' | 'test' | 'terminal')[], host: boolean}>}
 */
export const TASKS = {
  demo: { commands: [['scripts/demo.ts']], system: ['run'], host: true },
  start: { commands: [['src/cli/cli.ts', 'serve']], system: ['run'], host: true },
  test: { commands: [['scripts/test.ts']], system: ['run', 'test', 'terminal'], host: true },
  coverage: { commands: [['scripts/test.ts', '--coverage']], system: ['run', 'test', 'terminal'], host: true },
  check: {
    commands: [
      ['node_modules/@biomejs/biome/bin/biome', 'check', '.'],
      ['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'],
      ['scripts/check-generated.ts'],
      [vitest, 'run', '--project', 'unit'],
    ],
    system: ['run', 'test', 'terminal'],
    host: true,
  },
  'docs:chat': { commands: [['scripts/docs-chat.ts']], system: ['run', 'terminal'], host: true },
}

/** Runs the task in this terminal and takes its exit code. */
export async function runTask(root, node, task, args) {
  for (const [index, command] of task.commands.entries()) {
    const more = index === task.commands.length - 1 ? args : []
    process.exitCode = await inForeground(root, node, [...command, ...more])
    if (process.exitCode !== 0) return
  }
}

function inForeground(root, node, argv) {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter)
  const child = spawn(node, argv, { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: path } })
  // Ctrl-C reaches the child from the terminal itself; it decides when to end, and we end after it. What is sent to us alone
  // (a supervisor, npm) is passed on.
  const pass = (signal) => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, pass)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      for (const each of signals) process.off(each, pass)
      resolve(code ?? 128 + constants.signals[signal])
    })
  })
}
