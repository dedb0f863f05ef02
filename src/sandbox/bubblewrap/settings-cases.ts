import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../domain/ids.ts'
import type { SandboxRecord } from '../../domain/session.ts'
import { specFor } from '../conformance/harness.ts'
import type { SandboxSpec } from '../sandbox-driver.ts'
import { type BubblewrapFixture, makeBubblewrapFixture } from './bubblewrap.fixture.ts'
import type { BubblewrapDriverOptions } from './bubblewrap-driver.ts'

/** What the settings of the driver and of a start do. */
export function describeSettings(name: string): void {
  describe(`settings: ${name}`, () => {
    let fixture: BubblewrapFixture
    let elsewhere: string

    beforeAll(async () => {
      fixture = await makeBubblewrapFixture()
      elsewhere = mkdtempSync(join(tmpdir(), 'ce-'))
    })
    afterAll(async () => {
      await fixture.dispose()
      execFileSync('rm', ['-rf', elsewhere])
    })

    /** Starts a sandbox so, runs a script in it, and gives what it wrote and what was attested. */
    async function run(script: string, options: Partial<BubblewrapDriverOptions> = {}, changes: Partial<SandboxSpec> = {}) {
      const driver = fixture.makeDriver(options)
      const sessionId = newId('ses')
      await driver.volumes.create(sessionId, { uid: fixture.uid, secrets: { TOKEN: 'hunter22' }, staging: {} })
      try {
        const { record, sandbox } = await driver.start({ ...specFor(sessionId, 1, fixture), ...changes }, async () => undefined)
        try {
          const request = {
            id: 'x',
            invocation_id: 'x',
            argv: ['/bin/sh', '-c', script],
            timeout_ms: 30_000,
            max_output_bytes: 1 << 20,
          }
          const { exit_code, stdout, stderr } = await sandbox.exec(request)
          return { exit_code, output: stdout.toString(), stderr: stderr.toString(), record }
        } finally {
          sandbox.disconnect()
          await driver.stop(record, sessionId)
        }
      } finally {
        await driver.volumes.destroy(sessionId)
      }
    }

    async function refusal(options: Partial<BubblewrapDriverOptions>, changes: Partial<SandboxSpec>): Promise<string> {
      const intents: SandboxRecord[] = []
      const driver = fixture.makeDriver(options)
      const start = driver.start(
        { ...specFor(newId('ses'), 1, fixture), ...changes },
        async (record) => void intents.push(record),
      )
      const message = await start.then(
        () => 'started',
        (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
      )
      expect(intents).toEqual([])
      return message
    }

    it('attests what it gives', async () => {
      const { record } = await run('true')
      expect(record.isolation).toMatchObject({
        level: 'namespaces',
        namespaces: ['user', 'mount', 'pid', 'net', 'ipc', 'uts', 'cgroup'],
        network: 'none',
        seccomp: true,
        no_new_privileges: true,
        uid: fixture.uid === null ? 'shared' : 'own',
      })
    })

    it('a demand for more isolation than namespaces is refused', async () => {
      for (const isolation_floor of ['container', 'vm'] as const)
        expect(await refusal({}, { isolation_floor })).toContain(
          `sandbox_unavailable: no sandbox could be started: the session demands isolation "${isolation_floor}"`,
        )
    })

    it('a uid that the server must not or cannot use is refused', async () => {
      for (const uid of fixture.uid === null ? [0, 12_345] : [0, null])
        expect(await refusal({}, { uid })).toContain('sandbox_unavailable')
    })

    it("a bind of the server's home is refused, and the check says so", async () => {
      const options = { binds: [fixture.home] }
      expect(await refusal(options, {})).toContain('belongs to the server')
      const check = await fixture.makeDriver(options).check()
      expect(check).toMatchObject({ usable: false, isolation: null })
    })

    it('a bind is there under its own name, read-only, its programs on PATH, also below a directory that is private', async () => {
      const tools = join(elsewhere, 'private/tools')
      mkdirSync(join(tools, 'bin'), { recursive: true, mode: 0o755 })
      writeFileSync(join(tools, 'bin/my-tool'), '#!/bin/sh\necho tool ran\n', { mode: 0o755 })
      writeFileSync(join(elsewhere, 'private/key'), 'not for sandboxes')
      const script = `my-tool; echo x > ${tools}/x || echo read-only; cat ${elsewhere}/private/key || echo hidden`
      expect((await run(script, { binds: [tools] })).output).toBe('tool ran\nread-only\nhidden\n')
    })

    it('a clone has the network and the volume, and no secrets', async () => {
      const script =
        'ls -A /session/secrets; echo x > /session/secrets/x || echo empty; cat /proc/net/dev | wc -l; cat /etc/resolv.conf; test -d /etc/ssl/certs && echo certificates; touch /session/code/cloned'
      const { output, record } = await run(script, {}, { purpose: 'clone' })
      const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').length - 1
      const names = existsSync('/etc/resolv.conf') ? readFileSync('/etc/resolv.conf', 'utf8') : ''
      expect(output).toBe(`empty\n${lines}\n${names}certificates\n`)
      expect(record.isolation).toMatchObject({ network: 'host' })
      expect(record.isolation?.namespaces).not.toContain('net')
    })

    it("the machine's network, when asked for, is attested and is all that is shared", async () => {
      const { record, output } = await run('cat /session/secrets/TOKEN; cat /etc/shadow || echo " none"', {}, { network: 'host' })
      expect(output).toBe('hunter22 none\n')
      expect(record.isolation).toMatchObject({ network: 'host', namespaces: ['user', 'mount', 'pid', 'ipc', 'uts', 'cgroup'] })
    })

    it('a Node of a version manager brings its npm, one that was copied comes alone', async () => {
      const prefix = join(elsewhere, 'versions/v24')
      const npm = join(prefix, 'lib/node_modules/npm/bin')
      mkdirSync(join(prefix, 'bin'), { recursive: true })
      mkdirSync(npm, { recursive: true })
      copyFileSync(fixture.parts.nodePath, join(prefix, 'bin/node'))
      for (const cli of ['npm-cli.js', 'npx-cli.js'])
        writeFileSync(join(npm, cli), `#!/usr/bin/env node\nconsole.log('${cli} on', process.execPath)\n`, { mode: 0o755 })
      symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(prefix, 'bin/npm'))
      const managed = await run('node -e "console.log(process.version)"; npm; npx', { nodePath: join(prefix, 'bin/node') })
      expect(managed.output).toBe(`${process.version}\nnpm-cli.js on /opt/node/bin/node\nnpx-cli.js on /opt/node/bin/node\n`)
      const alone = await run('node -e "console.log(process.version)"; ls /opt/node /opt/node/bin', {
        nodePath: fixture.parts.nodePath,
      })
      expect(alone.output).toBe(`${process.version}\n/opt/node:\nbin\n\n/opt/node/bin:\nnode\n`)
    })

    it('a root file system takes the place of the machine, without its accounts', async () => {
      const rootfs = makeRootfs(join(elsewhere, 'rootfs'), fixture.parts.nodePath)
      const script =
        'cat /etc/marker; cat /usr/share/marker; while IFS=: read -r name rest; do echo "$name"; done < /etc/passwd; cat /etc/shadow || echo no shadow; echo x > /usr/x || echo read-only; test -e /usr/bin/git || echo no git; echo x > /session/code/file && cat /session/code/file'
      const { output } = await run(script, { rootfs: `${rootfs}/` })
      expect(output).toBe('of the rootfs\nof its usr\nroot\nsandbox\nnobody\nno shadow\nread-only\nno git\nx\n')
    })

    it('a root file system that is none is refused', async () => {
      expect(await refusal({ rootfs: join(elsewhere, 'nothing') }, {})).toContain('CLOISTER_SANDBOX_ROOTFS')
    })

    it('the check starts a sandbox, says what it found, and leaves nothing', async () => {
      const driver = fixture.makeDriver()
      const { usable, checks, isolation } = await driver.check()
      expect(usable).toBe(true)
      expect(isolation).toMatchObject({ level: 'namespaces', seccomp: true })
      expect(checks.filter(({ required }) => required).map(({ name, ok }) => [name, ok])).toEqual([
        ['settings', true],
        ['bubblewrap', true],
        ['bash', true],
        ['sandbox', true],
      ])
      for (const limit of ['memory', 'pids', 'cpus'] as const)
        expect(checks.find(({ name }) => name === `limit ${limit}`)?.ok).toBe(isolation?.limits[limit].startsWith('cgroup'))
      for (const { ok, fix } of checks) expect(fix === null).toBe(ok)
      expect(await driver.leftovers()).toEqual([])
      expect(await driver.volumes.list()).toEqual([])
    })

    it('a start that fails says what bwrap said, and leaves nothing', async () => {
      const driver = fixture.makeDriver()
      const sessionId = newId('ses')
      const started = driver.start(specFor(sessionId, 1, fixture), async () => undefined)
      await expect(started).rejects.toMatchObject({
        code: 'sandbox_unavailable',
        message: expect.stringMatching(/volume|No such file/),
      })
      expect(await driver.leftovers()).toEqual([])
      expect(driver.cgroupsOf(sessionId, 1).filter((path) => existsSync(path))).toEqual([])
    })
  })
}

/** The least that runs host and a shell: a few programs and their libraries, copied from this machine. */
function makeRootfs(rootfs: string, node: string): string {
  const programs = ['/bin/sh', '/bin/cat', '/bin/mkdir']
  const place = (path: string, source = path) => {
    mkdirSync(dirname(rootfs + path), { recursive: true })
    execFileSync('cp', ['-L', '--no-preserve=ownership', source, rootfs + path])
  }
  for (const program of programs) place(`/usr${program}`, program)
  for (const program of [...programs, node]) {
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
    for (const library of libraries) if (!existsSync(rootfs + library)) place(library)
  }
  if (!existsSync(`${rootfs}/bin`)) symlinkSync('usr/bin', `${rootfs}/bin`)
  mkdirSync(`${rootfs}/etc`)
  mkdirSync(`${rootfs}/usr/share`)
  writeFileSync(`${rootfs}/etc/marker`, 'of the rootfs\n')
  writeFileSync(`${rootfs}/usr/share/marker`, 'of its usr\n')
  for (const name of ['shadow', 'shadow-', 'passwd']) writeFileSync(`${rootfs}/etc/${name}`, 'admin:x:0:0::/:/bin/sh\n')
  return rootfs
}
