import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../domain/ids.ts'
import type { SandboxRecord } from '../../domain/session.ts'
import { eventually, Harness, newMarker, noneWith, processesWith, specFor } from '../conformance/harness.ts'
import { SandboxLost } from '../sandbox-errors.ts'
import { type BubblewrapFixture, makeBubblewrapFixture } from './bubblewrap.fixture.ts'
import { startTime } from './process-identity.ts'

const PYTHON = '/usr/bin/python3'
const START_PROGRAM = fileURLToPath(new URL('./start-program.fixture.ts', import.meta.url))

/** Outlives its command: it is in no group and has no environment that host would know it by. */
const STRAY = 'env -i setsid -f sleep "$1" >/dev/null 2>&1; until pgrep -fx "sleep $1" >/dev/null; do sleep 0.02; done'

/** What hostile code in a sandbox tries, each judged by what came of it outside, or by what the kernel answered. */
export function describeAttacks(name: string): void {
  describe(`attacks from inside: ${name}`, () => {
    let fixture: BubblewrapFixture
    let harness: Harness

    beforeAll(async () => {
      fixture = await makeBubblewrapFixture()
      harness = await Harness.start(fixture, { TOKEN: 'hunter22' })
    })
    afterAll(async () => {
      await harness?.end()
      await fixture?.dispose()
    })

    const fails = async (script: string): Promise<string> => {
      const { exit_code, stdout, stderr } = await harness.exec(['bash', '-c', script])
      expect({ script, exit_code, stdout: stdout.toString() }).not.toMatchObject({ exit_code: 0 })
      return stderr.toString()
    }
    const python = async (program: string): Promise<string> => (await harness.sh('"$1" -c "$2" 2>&1', PYTHON, program)).trim()
    const hostPid = async (): Promise<string> =>
      (
        await harness.sh(
          'for p in /proc/[0-9]*; do read -r -d "" first < $p/cmdline; [ "$first" = /opt/cloister/node ] && basename $p; done 2>/dev/null; true',
        )
      ).trim()

    /** Processes of the sandbox as the machine sees them. */
    const insiders = (record: SandboxRecord = harness.record): string[] =>
      readdirSync('/proc').filter((pid) => {
        try {
          return readlinkSync(`/proc/${pid}/ns/pid`) === `pid:[${record.detail.pid_namespace}]` && startTime(Number(pid)) !== null
        } catch {
          return false
        }
      })

    describe('the server', () => {
      it('shows nothing of its processes, environment and files', async () => {
        const { token } = await harness.address()
        writeFileSync(join(fixture.home, 'cloister.db'), `database ${token}`)
        const seen = await harness.sh('cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n"')
        expect(seen).toContain('host.mjs')
        // /proc/sys is the machine's, read-only; what lies above it is not.
        expect(await harness.sh('readlink /proc/sys/../1/ns/pid')).toBe(`pid:[${harness.record.detail.pid_namespace}]\n`)
        expect(seen).not.toContain('vitest')
        expect(seen).not.toContain(token)
        const found = 'grep -rlaF -- "$1" /etc /opt/cloister/host.mjs /run /session /tmp /var /dev/shm 2>/dev/null; true'
        expect(await harness.sh(found, token)).toBe('')
        for (const path of [fixture.home, join(fixture.home, 'cloister.db'), process.cwd(), '/root', '/home', '/run/cloister'])
          expect(await fails(`ls ${path}`)).toContain('No such file')
      })

      it('shows no other session', async () => {
        const other = await Harness.start(await makeBubblewrapFixture(64_203), { TOKEN: 'other-secret' })
        try {
          await other.write('file', 'the other session')
          const marker = newMarker()
          await other.sh(STRAY, marker)
          const path = join(other.fixture.runRoot, '../sessions', other.sessionId, 'volume/code/file')
          expect(existsSync(path)).toBe(true)
          await fails(`cat ${path}`)
          expect(await harness.sh('cat /proc/[0-9]*/cmdline | tr "\\0" " "')).not.toContain(`sleep ${marker}`)
          expect(processesWith(marker)).toHaveLength(1)
        } finally {
          await other.end()
          await other.fixture.dispose()
        }
      })

      it('shows no shadow, and made accounts', async () => {
        expect(await fails('cat /etc/shadow')).toContain('No such file')
        expect(await harness.sh('cut -d: -f1 /etc/passwd | tr "\\n" " "')).toBe('root sandbox nobody ')
        expect(await harness.sh('id -u; id -un; hostname')).toBe('1000\nsandbox\ncloister\n')
      })

      it('hands down no descriptor that it inherited', async () => {
        const sessionId = newId('ses')
        const { hostBundle, nodePath } = fixture.parts
        const script = 'ls -l /proc/self/fd /proc/1/fd; ls /proc/self/fd/21/'
        const parameters = { home: fixture.home, hostBundle, nodePath, uid: fixture.uid, sessionId, argv: ['bash', '-c', script] }
        const root = openSync('/', 'r')
        const stdio = Array.from({ length: 22 }, (_, fd): 'ignore' | 'pipe' | number =>
          fd === 21 ? root : fd < 3 ? 'pipe' : 'ignore',
        )
        const server = spawn(nodePath, [START_PROGRAM, JSON.stringify(parameters)], { stdio })
        closeSync(root)
        const { record, output } = await firstLine(server)
        try {
          expect(output).toContain('/proc/1/fd')
          for (const line of output.split('\n').filter((text) => text.includes(' -> ')))
            expect(line).toMatch(
              / -> (\/dev\/null|pipe:\[\d+\]|socket:\[\d+\]|\/proc\/\d+\/fd|\/tmp\/\.cloister-\w+\/\d \(deleted\))$/,
            )
          if (fixture.uid !== null) {
            const host = insiders(record).find((pid) =>
              readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('/opt/cloister/node'),
            )
            const open = readdirSync(`/proc/${host}/fd`).map((fd) => readlinkSync(`/proc/${host}/fd/${fd}`))
            expect(
              open.filter((target) => !/^(anon_inode|socket|pipe|\/dev\/null|\/tmp\/\.cloister-|.*host\.log$)/.test(target)),
            ).toEqual([])
          }
        } finally {
          server.kill('SIGKILL')
          await fixture.makeDriver().stop(record, sessionId)
        }
      })

      it('may be killed: the sandbox lives on, and a new server finds it and its command', async () => {
        const sessionId = newId('ses')
        const { hostBundle, nodePath } = fixture.parts
        const argv = ['bash', '-c', 'echo once >> /session/code/count; cat /session/code/count']
        const server = spawn(nodePath, [
          START_PROGRAM,
          JSON.stringify({ home: fixture.home, hostBundle, nodePath, uid: fixture.uid, sessionId, argv }),
        ])
        const { record } = await firstLine(server)
        server.kill('SIGKILL')
        await once(server, 'exit')
        const driver = fixture.makeDriver()
        expect(await driver.leftovers()).toContainEqual({ session_id: sessionId, generation: 1 })
        const sandbox = await driver.find(record, sessionId, 2)
        const again = await sandbox?.exec({
          id: 'op-1',
          invocation_id: 'inv-1',
          argv,
          timeout_ms: 20_000,
          max_output_bytes: 9999,
        })
        expect(again).toMatchObject({ replayed: true, exit_code: 0 })
        expect(again?.stdout.toString()).toBe('once\n')
        sandbox?.disconnect()
        await driver.stop(record, sessionId)
        expect(insiders(record)).toEqual([])
        expect(await driver.find(record, sessionId, 3)).toBeNull()
      })
    })

    it('a server that ends in order is not held up by its sandboxes, and leaves them', async () => {
      const sessionId = newId('ses')
      const parameters = { home: fixture.home, ...fixture.parts, uid: fixture.uid, sessionId, argv: ['true'], leave: true }
      const server = spawn(fixture.parts.nodePath, [START_PROGRAM, JSON.stringify(parameters)])
      const ended = once(server, 'exit')
      const { record } = await firstLine(server)
      expect(await ended).toEqual([0, null])
      const driver = fixture.makeDriver()
      const sandbox = await driver.find(record, sessionId, 2)
      expect(await sandbox?.health()).toMatchObject({ session_id: sessionId, epoch: 2 })
      sandbox?.disconnect()
      await driver.stop(record, sessionId)
    })

    describe('the network', () => {
      const reach = (address: string) =>
        `import socket\ns = socket.socket(${address.startsWith("'") ? 'socket.AF_UNIX' : ''})\ns.settimeout(3)\ntry:\n  s.connect(${address}); print('reached')\nexcept OSError as e: print(type(e).__name__)`
      let tcp: Server
      let abstract: Server
      let connections = 0
      const abstractName = `cloister-attack-${process.pid}`

      beforeAll(async () => {
        tcp = createServer(() => connections++).listen(0, '127.0.0.1')
        abstract = createServer(() => connections++).listen(`\0${abstractName}`)
        await Promise.all([once(tcp, 'listening'), once(abstract, 'listening')])
      })
      afterAll(() => {
        tcp.close()
        abstract.close()
      })

      it('has no way to the machine', async () => {
        const port = (tcp.address() as { port: number }).port
        const targets = [`('127.0.0.1', ${port})`, `'\\0${abstractName}'`]
        for (const target of targets) expect(await python(reach(target))).not.toBe('reached')
        expect(connections).toBe(0)
        // The same program outside does reach them.
        for (const target of targets) {
          const child = spawn(PYTHON, ['-c', reach(target)], { stdio: ['ignore', 'pipe', 'inherit'] })
          expect(
            Buffer.concat(await child.stdout.toArray())
              .toString()
              .trim(),
          ).toBe('reached')
        }
        expect(connections).toBe(2)
        expect(await harness.sh("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")).toBe('lo\n')
      })
    })

    describe('host', () => {
      it('cannot be looked into', async () => {
        const pid = await hostPid()
        expect(pid).toMatch(/^\d+$/)
        for (const file of ['environ', 'mem', 'maps', 'fd/3', 'cwd/', 'exe'])
          expect(await fails(`head -c 1 /proc/${pid}/${file}`)).toMatch(/denied|No such file/)
        await fails('head -c 1 /opt/cloister/node')
        await fails('chmod 755 /opt/cloister/node')
        const calls = {
          ptrace: `libc.ptrace(16, ${pid}, 0, 0)`,
          process_vm_readv: `libc.process_vm_readv(${pid}, None, 0, None, 0, 0)`,
          pidfd_getfd: `libc.syscall(438, libc.syscall(434, ${pid}, 0), 3, 0)`,
        }
        for (const call of Object.values(calls))
          expect(
            await python(
              `import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(${call}, errno.errorcode[ctypes.get_errno()])`,
            ),
          ).toBe('-1 EPERM')
      })

      it('leaves nothing in the first process, which can be looked into', async () => {
        const { token } = await harness.address()
        expect(await harness.sh('for fd in /proc/1/fd/*; do readlink $fd; done | sort -u')).toBe('/dev/null\n')
        expect(await harness.sh('grep -E "^(Seccomp|NoNewPrivs):" /proc/1/status | tr "\\n\\t" "  "')).toBe(
          'NoNewPrivs: 1 Seccomp: 2 ',
        )
        const search = `data = b''\nfor line in open('/proc/1/maps'):\n  a, b = (int(x, 16) for x in line.split()[0].split('-'))\n  try:\n    m = open('/proc/1/mem', 'rb'); m.seek(a); data += m.read(b - a)\n  except (OSError, OverflowError, ValueError): pass\nprint(len(data) > 100000, b'${token}' in data)`
        expect(await python(search)).toBe('True False')
      })

      it('has a socket that is nowhere inside', async () => {
        expect(await harness.sh('find / -xdev -type s 2>/dev/null; find /session /tmp /dev /run -type s 2>/dev/null')).toBe('')
        const { socketPath } = await harness.address()
        await fails(`ls ${socketPath}`)
      })

      it('is replaced by nothing when it is killed: the sandbox is lost and everything in it ends', async () => {
        const victim = await Harness.start(fixture)
        const marker = newMarker()
        await victim.sh(STRAY, marker)
        await eventually(
          () => processesWith(marker),
          (pids) => pids.length === 1,
        )
        const impersonate = `import glob, os, signal, socket, time\nif os.fork() == 0:\n  os.setsid()\n  for fd in range(3, 64):\n    try: socket.socket(fileno=fd).listen(1)\n    except OSError: pass\n  time.sleep(60)\nfor p in glob.glob('/proc/[0-9]*'):\n  if open(p + '/cmdline', 'rb').read().startswith(b'/opt/cloister/node'): os.kill(int(p[6:]), signal.SIGKILL)`
        await expect(victim.exec([PYTHON, '-c', impersonate])).rejects.toThrow(SandboxLost)
        await noneWith(marker)
        expect(insiders(victim.record)).toEqual([])
        await expect(victim.sandbox.health()).rejects.toThrow(SandboxLost)
        expect(await victim.driver.find(victim.record, victim.sessionId, 2)).toBeNull()
        await victim.end()
      })

      it('cannot be ended by killing the first process, nor by writing into it', async () => {
        await harness.sh('kill -9 1; kill -TERM 1; kill -INT 1; true')
        expect(await harness.sh('echo alive')).toBe('alive\n')
      })
    })

    describe('the kernel', () => {
      it.each([
        ['a user namespace', 'unshare --user true'],
        ['a user namespace by bwrap', 'bwrap --ro-bind / / true'],
        ['a mount', 'mount -t tmpfs none /tmp'],
        ['a read-only mount made writable', 'mount -o remount,rw /usr'],
        ['the end of a mount', 'umount /session/secrets'],
        ['another root', 'chroot / true'],
        ['a device', 'mknod /tmp/disk b 8 0'],
        ['another name of the machine', 'hostname pwned'],
        ['another clock', 'date -s 2001-01-01'],
        ['a higher priority', 'nice -n -5 true 2>&1 | grep -v denied'],
        ['another user', 'setpriv --reuid 0 true'],
        ['the kernel log', 'dmesg'],
      ])('refuses %s', async (_, script) => {
        await fails(script)
      })

      it('gives no capability and lets none be gained', async () => {
        const status = await harness.sh('grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status')
        expect(status.match(/^Cap\w+:\s+0+$/gm)).toHaveLength(5)
        expect(status).toMatch(/NoNewPrivs:\s1/)
        expect(status).toMatch(/Seccomp:\s2/)
      })

      it('keeps its settings', async () => {
        const settings = [
          'kernel/core_pattern',
          'kernel/hostname',
          'vm/overcommit_memory',
          'kernel/randomize_va_space',
          'net/ipv4/ip_forward',
        ]
        const before = settings.map((path) => readFileSync(`/proc/sys/${path}`, 'utf8'))
        for (const path of settings) await fails(`echo 7 > /proc/sys/${path}`)
        await fails('echo h > /proc/sysrq-trigger')
        expect(settings.map((path) => readFileSync(`/proc/sys/${path}`, 'utf8'))).toEqual(before)
      })

      it('types into no terminal', async () => {
        const program = `import fcntl, os, termios\nm, s = os.openpty()\ntry:\n  fcntl.ioctl(s, 0x5412, b'x'); print('typed')\nexcept OSError as e: print(e.errno)`
        expect(await python(program)).toBe('1')
      })
    })

    describe('files', () => {
      it.each([
        '/x',
        '/usr/x',
        '/etc/x',
        '/etc/passwd',
        '/opt/cloister/host.mjs',
        '/opt/x',
        '/dev/x',
        '/run/x',
        '/var/x',
        '/proc/x',
        '/session/secrets/x',
        '/session/secrets/TOKEN',
      ])('cannot be written at %s', async (path) => {
        await fails(`echo x > ${path}`)
      })

      it('of secrets stay as and where they are', async () => {
        await fails('chmod 777 /session/secrets')
        await fails('mv /session/secrets /session/moved')
        await fails('rmdir /session/secrets')
        await fails('rm -f /session/secrets/TOKEN')
        expect(await harness.sh('cat /session/secrets/TOKEN')).toBe('hunter22')
        expect(await harness.driver.volumes.readSecrets(harness.sessionId)).toEqual({ TOKEN: 'hunter22' })
      })

      it('with setuid belong, seen from the machine, to the session, behind directories that nobody else may pass', async () => {
        await harness.sh('cp /bin/sh planted && chmod 6755 planted')
        const volume = harness.driver.volumes as unknown as { volume(id: string): string }
        const path = join(volume.volume(harness.sessionId), 'code/planted')
        const status = lstatSync(path)
        expect(status.mode & 0o6000).not.toBe(0)
        expect(status.uid).toBe(fixture.uid ?? process.getuid?.())
        expect(status.uid).not.toBe(0)
        expect(statSync(volume.volume(harness.sessionId)).mode & 0o077).toBe(0)
      })

      it.each(['/tmp', '/dev/shm', '/var/tmp'])('in memory are bounded: %s', async (directory) => {
        const stderr = await fails(`trap 'rm -f ${directory}/bomb' EXIT; head -c 4G /dev/zero > ${directory}/bomb`)
        expect(stderr).toContain('No space left')
      })
    })

    describe('limits', () => {
      it('hold from the first instruction', async () => {
        const bundle = join(fixture.home, 'first.mjs')
        writeFileSync(
          bundle,
          "import { readFileSync } from 'node:fs'; console.error(readFileSync('/proc/self/cgroup', 'utf8') + readFileSync('/proc/self/limits', 'utf8')); process.exit(1)",
        )
        const driver = fixture.makeDriver({ hostBundle: bundle })
        const sessionId = newId('ses')
        await driver.volumes.create(sessionId, { uid: fixture.uid, secrets: {}, staging: {} })
        const failed = await driver
          .start({ ...specFor(sessionId, 1, fixture), limits: { memory_mb: 256, cpus: 1, pids: 77 } }, async () => undefined)
          .then(
            () => 'started',
            (error: Error) => error.message,
          )
        const { limits } = harness.record.isolation ?? {}
        if (limits?.pids === 'rlimit') expect(failed).toMatch(/Max processes\s+77\s+77/)
        else expect(failed).toMatch(new RegExp(`:pids:.*${sessionId}|^0::.*${sessionId}`, 'm'))
        if (limits?.memory === 'rlimit') expect(failed).toMatch(/Max data size\s+\d+\s+\d+/)
        else expect(failed).toMatch(new RegExp(`:memory:.*${sessionId}|^0::.*${sessionId}`, 'm'))
        expect(insiders().length).toBeGreaterThan(0)
        expect(await driver.leftovers()).not.toContainEqual({ session_id: sessionId, generation: 1 })
        expect(driver.cgroupsOf(sessionId, 1).filter((path) => existsSync(path))).toEqual([])
      })

      it('hold every process of the sandbox', async () => {
        const paths = String(harness.record.detail.cgroups).split('\n').filter(Boolean)
        await harness.sh('(setsid sleep 5 &) ; true')
        for (const path of paths) {
          const members = readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n')
          expect(members).toEqual(expect.arrayContaining(insiders()))
        }
      })

      it('stop a fork bomb, and the machine does not notice', async () => {
        const bomb = harness.exec(['bash', '-c', 'bomb() { bomb | bomb & }; bomb; sleep 60'], { timeout_ms: 2500 })
        let most = 0
        const watch = setInterval(() => {
          most = Math.max(most, insiders().length)
        }, 100)
        expect(spawnSync('/bin/true').status).toBe(0)
        const outcome = await bomb
        clearInterval(watch)
        expect(outcome).toMatchObject({ timed_out: true })
        expect(most).toBeGreaterThan(50)
        expect(most).toBeLessThanOrEqual(256)
        expect(
          await eventually(
            () => harness.exec(['echo', 'alive']).then((r) => r.stdout.toString()),
            (text) => text === 'alive\n',
          ),
        ).toBe('alive\n')
      })

      it('stop a memory bomb, and host tells', async () => {
        const bomb = 'a = []\nwhile True: a.append(bytearray(16 << 20))'
        const outcome = await harness.exec([PYTHON, '-c', bomb])
        if (harness.record.isolation?.limits.memory === 'rlimit') expect(outcome.stderr.toString()).toContain('MemoryError')
        else expect(outcome).toMatchObject({ exit_code: null, signal: 'SIGKILL', timed_out: false })
        expect(await harness.sh('echo alive')).toBe('alive\n')
      })

      it('stop an endless output', async () => {
        const outcome = await harness.exec(['bash', '-c', 'yes | head -c 10G'], { max_output_bytes: 1 << 20 })
        expect(outcome).toMatchObject({ output_limited: true })
        expect(outcome.stdout.length).toBeLessThanOrEqual(1 << 20)
      })
    })

    it('strays of every kind end with the sandbox', async () => {
      const victim = await Harness.start(fixture)
      const marker = newMarker()
      await victim.sh(
        `${STRAY}; env -i setsid -f bash -c 'trap "" TERM HUP INT; sleep "$1"; true' sh "$1" >/dev/null 2>&1; sleep 0.2`,
        marker,
      )
      await eventually(
        () => processesWith(marker),
        (pids) => pids.length >= 2,
      )
      await victim.end()
      expect(processesWith(marker)).toEqual([])
      expect(insiders(victim.record)).toEqual([])
      for (const path of String(victim.record.detail.cgroups).split('\n').filter(Boolean)) expect(existsSync(path)).toBe(false)
      expect(existsSync(String(victim.record.detail.run_dir))).toBe(false)
    })
  })
}

async function firstLine(server: ReturnType<typeof spawn>): Promise<{ record: SandboxRecord; output: string }> {
  let text = ''
  let errors = ''
  server.stderr?.on('data', (chunk) => {
    errors += chunk
  })
  for await (const chunk of server.stdout ?? []) {
    text += chunk
    if (text.includes('\n')) break
  }
  if (!text.includes('\n')) throw new Error(`the server ended: ${errors}`)
  return JSON.parse(text) as { record: SandboxRecord; output: string }
}
