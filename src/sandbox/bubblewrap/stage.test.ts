import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Stage } from './stage.ts'

/** Outside of directories that only root may pass. */
const PROGRAM = join(tmpdir(), `.stage-program-${process.pid}`)
const asRoot = process.getuid?.() === 0

describe('the start of bwrap', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'stage-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  /** Runs the command with a program of ours in bwrap's place, and gives what it printed. */
  async function run(stage: Stage, uid: number | null, program: string, args: string[] = []): Promise<string> {
    writeFileSync(join(directory, 'bwrap'), `#!/bin/bash\n${program}\n`, { mode: 0o755 })
    const command = stage.command(args, uid, 6)
    const child = spawn(command.file, command.args, {
      cwd: '/',
      env: { PATH: `${directory}:/usr/sbin:/usr/bin:/sbin:/bin`, HOME: directory },
      stdio: 'pipe',
    })
    child.stdin.end()
    return `${await text(child.stdout)}${await text(child.stderr)}`
  }

  test("reads none of the server's shell files, though its standard input is a socket", async () => {
    for (const name of ['.bashrc', '.profile', '.bash_profile']) writeFileSync(join(directory, name), `echo read ${name}\n`)
    expect(await run(new Stage(false), null, 'echo started')).toBe('started\n')
  })

  test('passes arguments on as they are', async () => {
    const args = ['a b', '$(id)', '', '*', "'", '--', '-c']
    expect(await run(new Stage(false), null, 'printf "<%s>" "$@"', args)).toBe(args.map((arg) => `<${arg}>`).join(''))
  })

  test('is itself the process that was spawned', async () => {
    const command = new Stage(false).command([], null, 6)
    writeFileSync(join(directory, 'bwrap'), '#!/bin/sh\necho $$\n', { mode: 0o755 })
    const child = spawn(command.file, command.args, { env: { PATH: `${directory}:/usr/bin:/bin` } })
    expect(Number(await text(child.stdout))).toBe(child.pid)
  })

  // Skipped for an ordinary user, who can mount nothing: sources are then where they are.
  test.runIf(asRoot)(
    'shows another user what lies below directories that only root may pass, and nothing to the machine',
    async () => {
      const source = join(directory, 'private/volume')
      mkdirSync(source, { recursive: true, mode: 0o755 })
      writeFileSync(join(source, 'file'), 'seen')
      writeFileSync(join(directory, 'private/single'), 'alone', { mode: 0o644 })
      const stage = new Stage(true)
      const place = stage.place(source)
      expect(stage.place(source)).toBe(place)
      expect(stage.place('/usr/bin')).toBe('/usr/bin')
      expect(stage.placeUnder(source, `${source}/file`)).toBe(`${place}/file`)
      const single = stage.place(join(directory, 'private/single'))
      writeFileSync(PROGRAM, `#!/bin/sh\nid -u; id -G; cat "$1/file" "$2"; cat ${source}/file 2>/dev/null || echo " hidden"\n`, {
        mode: 0o755,
      })
      try {
        const command = stage.command(['-c', `${PROGRAM} "$@"`, 'x', place, single], 64_209, 6)
        const args = command.args.map((arg) => (arg === 'bwrap' ? 'sh' : arg))
        const child = spawn(command.file, args, { cwd: '/', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
        expect(await text(child.stdout)).toBe('64209\n64209\nseenalone hidden\n')
        expect(readdirSync('/run/cloister')).toEqual([])
      } finally {
        rmSync(PROGRAM)
      }
    },
  )

  test('of an ordinary user leaves every source in its place', () => {
    expect(new Stage(false).place('/home/user/volume')).toBe('/home/user/volume')
  })
})
