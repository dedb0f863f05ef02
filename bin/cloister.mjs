#!/usr/bin/env node
/**
 * `cloister` from a checkout, on any Node from 20: goes on under the Node 24 of the npm packages where this one is older.
 * Compiled code is kept for the next start: half of what a short command takes. In the checkout, whose code this is already, and not
 * in the machine's temporary folder, where somebody else may have left some. Where it cannot be written there is none.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const newEnough = Number(/^v(\d+)/.exec(process.version)[1]) >= 24

if (!existsSync(`${root}node_modules/commander`) || (!newEnough && !existsSync(`${root}node_modules/.bin/node`))) {
  process.stderr.write(`cloister: its npm packages are not installed. Run:\n\n    cd ${root} && npm ci\n`)
  process.exitCode = 7
} else if (newEnough) {
  module.enableCompileCache(`${root}node_modules/.cache/cloister`)
  await import('../src/cli/cli.ts')
} else {
  const itself = fileURLToPath(import.meta.url)
  const child = spawn(`${root}node_modules/.bin/node`, [itself, ...process.argv.slice(2)], { stdio: 'inherit' })
  // The terminal's Ctrl-C reaches the child as well, and it decides what that means.
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal]
  })
}
