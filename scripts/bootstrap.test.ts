import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** The bootstrap in a copy of its own, with programs that stand in for npm, apt-get and sudo at the end of its arms. */

const NOBODY = 65534
let copy: string

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'cloister-bootstrap-'))
  cpSync(import.meta.dirname, join(copy, 'scripts'), { recursive: true })
  // Whoever it is run as has to be able to read it.
  spawnSync('chmod', ['-R', 'a+rX', copy])
})

afterAll(() => rmSync(copy, { recursive: true, force: true }))

function node(args: string[], options: { uid?: number; env?: Record<string, string> } = {}) {
  const env = { PATH: '/usr/bin:/bin', ...options.env }
  const identity = options.uid !== undefined && process.getuid?.() === 0 ? { uid: options.uid, gid: options.uid } : {}
  return spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8', env, ...identity })
}

function program(name: string, ...lines: string[]): string {
  const folder = join(copy, 'bin')
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  writeFileSync(join(folder, name), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 })
  return `${folder}:/usr/bin:/bin`
}

test('an unknown task exits with 2 and says what there is', () => {
  const result = node(['scripts/bootstrap.mjs', 'dance'])
  expect(result).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(/usage: .*demo\|start\|test/) })
})

const ENSURE = `
  import { ensureSystemPackages } from './scripts/bootstrap/system-packages.mjs'
  try {
    await ensureSystemPackages(['run'], { run: JSON.parse(process.argv[1]) })
  } catch (error) {
    console.log(error.message)
    process.exitCode = 2
  }`

test('an ordinary user without sudo is told the exact command', () => {
  const PATH = program('sudo', 'exit 1')
  const missing = JSON.stringify({ 'one-package': '/nonexistent/one', git: '/', 'another-package': '/nonexistent/two' })
  const result = node(['--input-type=module', '-e', ENSURE, missing], { uid: NOBODY, env: { PATH } })
  expect(result.status).toBe(2)
  expect(result.stdout).toContain(
    '    sudo apt-get update && sudo apt-get install -y --no-install-recommends one-package another-package\n',
  )
})

test('with passwordless sudo what is missing is installed, after an update, and that is said', () => {
  const log = join(copy, 'sudo.log')
  const made = join(copy, 'made')
  writeFileSync(log, '', { mode: 0o666 })
  spawnSync('chmod', ['a+rw', log])
  mkdirSync(made)
  spawnSync('chmod', ['a+rwx', made])
  const PATH = program('sudo', `printf '%s\\n' "$*" >> ${log}`, `case "$*" in *install*) touch ${made}/it;; esac`)
  const result = node(['--input-type=module', '-e', ENSURE, JSON.stringify({ it: `${made}/it` })], { uid: NOBODY, env: { PATH } })
  expect(result).toMatchObject({
    status: 0,
    stdout: '',
    stderr: 'cloister: installing system packages: it\ncloister: installed\n',
  })
  expect(spawnSync('cat', [log], { encoding: 'utf8' }).stdout).toBe(
    [
      '-n true',
      '-n env DEBIAN_FRONTEND=noninteractive apt-get update',
      '-n env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends it',
      '',
    ].join('\n'),
  )
})

test('an installation that brings nothing is a failure, with its output', () => {
  const PATH = program('sudo', 'echo E: no such package')
  const result = node(['--input-type=module', '-e', ENSURE, JSON.stringify({ it: '/nonexistent/it' })], {
    uid: NOBODY,
    env: { PATH },
  })
  expect(result.status).toBe(2)
  expect(result.stdout).toMatch(/could not install it:\n {4}E: no such package\n/)
})

const RUN = `
  import { runTask } from './scripts/bootstrap/tasks.mjs'
  await runTask(process.cwd(), process.execPath, { commands: JSON.parse(process.argv[1]) }, process.argv.slice(2))`

test.each([
  ['takes its exit code', [['-e', 'process.exit(5)']], 5],
  [
    'stops at the first that fails',
    [
      ['-e', 'process.exit(3)'],
      ['-e', 'console.log("ran on")'],
    ],
    3,
  ],
  ['a signal is 128 and its number', [['-e', 'process.kill(process.pid, "SIGKILL")']], 137],
])('a task: %s', (_what, commands, code) => {
  expect(node(['--input-type=module', '-e', RUN, JSON.stringify(commands)])).toMatchObject({ status: code, stdout: '' })
})

test('the last command of a task gets the arguments', () => {
  const commands = JSON.stringify([
    ['-e', 'console.log("one")'],
    ['-e', 'console.log(process.argv.slice(1).join())'],
  ])
  expect(node(['--input-type=module', '-e', RUN, commands, 'a', 'b']).stdout).toBe('one\na,b\n')
})
