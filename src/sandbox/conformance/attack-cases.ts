import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { HostError } from '../sandbox-errors.ts'
import { base64, type Harness, refused, scope } from './harness.ts'

/** Swaps `d`, a directory, against a symlink to "$1" as fast as it can, until it is killed. */
const SWAP = 'while (1) { rename("d", "d.real"); symlink($ARGV[0], "d"); unlink("d"); rename("d.real", "d") }'

export function attackCases(at: () => Harness): void {
  const write = (path: string, text: string) =>
    at().sandbox.write({ ...at().change(path), content_base64: base64(text), create_parents: true })
  const read = (path: string) => at().sandbox.read({ ...scope(path), max_bytes: 1000 })
  const pair = (source: string, destination: string) => {
    const { id, invocation_id } = at().change(source)
    const places = { source: scope(source), destination: scope(destination) }
    return { id, invocation_id, ...places, overwrite: true, create_parents: true, recursive: true }
  }

  describe('attacks', () => {
    it('a path that climbs out or starts elsewhere', async () => {
      for (const path of [
        '../../etc/passwd',
        '/etc/passwd',
        '/session',
        '/session/code/../../etc/passwd',
        '/sessionx/code',
        '/session/codex/f',
      ]) {
        await refused(read(path), 'path_denied')
        await refused(write(path, 'x'), 'path_denied')
        await refused(at().sandbox.download(scope(path)), 'path_denied')
      }
    })

    it('the secrets, by any root', async () => {
      for (const roots of [['/session'], ['/session/secrets'], ['/session/code', '/session/secrets']]) {
        await refused(at().sandbox.read({ path: '/session/secrets/TOKEN', roots, max_bytes: 10 }), 'path_denied')
        await refused(at().sandbox.stat({ path: '/session/secrets/TOKEN', roots }), 'path_denied')
        await refused(
          at().sandbox.list({ path: '/session/secrets', roots, recursive: true, max_entries: 10, skip_git: true }),
          'path_denied',
        )
      }
      const above = await at().sandbox.list({
        path: '/session',
        roots: ['/session'],
        recursive: true,
        max_entries: 10_000,
        skip_git: true,
      })
      expect(above.entries.filter(({ path }) => path.includes('TOKEN'))).toEqual([])
    })

    it('a symlink that leads out, read and written through', async () => {
      const out = await at().outside('precious')
      await at().sh(
        'mkdir links; cd links; ln -s "$1/f" file; ln -s "$1" dir; ln -s "$1/new" dangling; ln -s dir/f second; ln -s self self',
        out,
      )
      for (const path of ['links/file', 'links/dir/f', 'links/second']) {
        await refused(read(path), 'path_denied')
        await refused(at().sandbox.download(scope(path)), 'path_denied')
      }
      for (const path of [
        'links/file',
        'links/dir/f',
        'links/dir/new',
        'links/dir/deep/new',
        'links/dangling',
        'links/second',
        'links/self',
      ]) {
        await refused(write(path, 'overwritten'), 'path_denied')
        await refused(
          at().sandbox.upload({ ...at().change(path), create_parents: true }, Readable.from(['overwritten'])),
          'path_denied',
        )
      }
      await refused(at().sandbox.mkdir({ ...at().change('links/dir/made'), create_parents: true, mode: '0755' }), 'path_denied')
      await refused(at().sandbox.remove({ ...at().change('links/dir/f'), recursive: true }), 'path_denied')
      await refused(at().sandbox.move(pair('links/dir/f', 'stolen')), 'path_denied')
      await refused(at().sandbox.copy(pair('links/dir/f', 'stolen')), 'path_denied')
      await refused(at().sandbox.move(pair('once.txt', 'links/dir/planted')), 'path_denied')
      await refused(at().sandbox.list({ ...scope('links/dir'), recursive: true, max_entries: 10, skip_git: true }), 'path_denied')
      expect(await at().sh('cd "$1"; ls -A; cat f; cat "$OLDPWD/stolen" 2>/dev/null; true', out)).toBe('f\nprecious')
    })

    it('what is removed or copied as a tree is not followed out of it', async () => {
      const out = await at().outside('precious')
      await at().sh('mkdir -p follow/sub; ln -s "$1" follow/sub/dir; ln -s "$1/f" follow/file', out)
      await at().sandbox.copy(pair('follow', 'follow2'))
      expect(await at().sh('readlink follow2/sub/dir')).toBe(`${out}\n`)
      for (const path of ['follow', 'follow2']) await at().sandbox.remove({ ...at().change(path), recursive: true })
      expect(await at().sh('cat "$1/f"', out)).toBe('precious')
    })

    it('a symlink that stays inside works for both, and stays a link', async () => {
      await write('inner/real/f', 'old')
      await at().sh('ln -s real inner/dir; ln -s real/f inner/file')
      expect(await at().read('inner/dir/f')).toBe('old')
      await write('inner/file', 'new')
      await write('inner/dir/g', 'g')
      expect(await at().sh('readlink inner/file inner/dir; cat inner/real/f inner/real/g')).toBe('real/f\nreal\nnewg')
    })

    it('a directory swapped against a link while files are read', async () => {
      const out = await at().outside('OUTSIDE')
      await at().sh('mkdir -p race/d; printf INSIDE > race/d/f')
      const seen = await whileSwapping(out, 'race', async () => {
        const { content_base64 } = await read('race/d/f')
        const streamed = await at()
          .sandbox.download(scope('race/d/f'))
          .then(({ stream }) => buffer(stream))
        return [Buffer.from(content_base64, 'base64').toString(), streamed.toString()]
      })
      expect(new Set(seen.results.flat())).toEqual(new Set(['INSIDE']))
      expect(seen.refusals.get('path_denied')).toBeGreaterThan(0)
    })

    it('a directory swapped against a link while files are written, made and removed', async () => {
      const out = await at().outside('OUTSIDE')
      await at().sh('mkdir -p "$1/victims"; touch "$1/victims/v"; mkdir -p race2/d/victims; touch race2/d/victims/v', out)
      const before = await at().sh('cd "$1"; find . -printf "%p %s %C@\\n" | sort', out)
      const change = (path: string) => ({ ...at().change(path), create_parents: false })
      const operations = [
        (name = change('race2/d/f')) => at().sandbox.write({ ...name, content_base64: base64('WRITTEN') }),
        (name = change('race2/d/f')) => at().sandbox.upload(name, Readable.from(['UPLOADED'])),
        (name = change('race2/d/made')) => at().sandbox.mkdir({ ...name, mode: '0755' }),
        (name = change('race2/d/victims')) => at().sandbox.remove({ ...name, recursive: true }),
      ]
      // One at a time: that all of them get through in a row may never happen on a machine where swapping is fast.
      let turn = 0
      const seen = await whileSwapping(out, 'race2', async () => operations[turn++ % operations.length]?.())
      expect(seen.results.length).toBeGreaterThan(0)
      expect(seen.refusals.get('path_denied')).toBeGreaterThan(0)
      expect(await at().sh('cd "$1"; find . -printf "%p %s %C@\\n" | sort', out)).toBe(before)
    })

    it('.git in every spelling and by every operation', async () => {
      await at().sh(
        'mkdir -p g/.git/hooks g/sub/.git g/.GIT; echo original > g/.git/config; ln -s .git g/alias; echo f > g/f; ln -s .git/config g/direct',
      )
      const before = await at().sh('find g -printf "%p %s %C@\\n" | sort; cat g/.git/config')
      for (const path of [
        'g/.git/config',
        'g/.GIT/config',
        'g/.gIt/x',
        'g/sub/.git/hooks/x',
        'g/alias/config',
        'g/direct',
        'g/.git',
      ]) {
        await refused(write(path, 'evil'), 'path_denied')
        await refused(at().sandbox.upload({ ...at().change(path), create_parents: true }, Readable.from(['evil'])), 'path_denied')
        await refused(at().sandbox.copy(pair('g/f', path === 'g/direct' ? 'g/.git/config' : path)), 'path_denied')
        await refused(at().sandbox.move(pair('g/f', path === 'g/direct' ? 'g/.git/config' : path)), 'path_denied')
      }
      for (const path of ['g/.git', 'g/.git/config', 'g/alias/hooks', 'g', 'g/sub'])
        await refused(at().sandbox.remove({ ...at().change(path), recursive: true }), 'path_denied')
      await refused(at().sandbox.move(pair('g/.git/config', 'g/config')), 'path_denied')
      await refused(at().sandbox.move(pair('g/.git', 'g/renamed')), 'path_denied')
      await refused(at().sandbox.copy(pair('g', 'g2')), 'path_denied')
      await refused(at().sandbox.mkdir({ ...at().change('g/new/.git'), create_parents: true, mode: '0755' }), 'path_denied')
      expect(await at().sh('find g -printf "%p %s %C@\\n" | sort; cat g/.git/config')).toBe(before)
      expect(await at().read('g/.git/config')).toBe('original\n')
    })

    it('a workspace that was replaced by a link', async () => {
      const out = await at().outside('OUTSIDE')
      await at().sh('cd ..; mv data data.real; ln -s "$1" data', out)
      try {
        await refused(read('/session/data/f'), 'path_denied')
        await refused(write('/session/data/f', 'evil'), 'path_denied')
      } finally {
        await at().sh('cd ..; rm data; mv data.real data')
      }
      expect(await at().sh('cat "$1/f"', out)).toBe('OUTSIDE')
    })

    it('an undo directory that was replaced by a link', async () => {
      const out = await at().outside('OUTSIDE')
      await write('undone', 'first')
      await at().sh('cd ..; rm -rf .undo; ln -s "$1" .undo', out)
      const second = { ...at().change('undone'), content_base64: base64('second'), create_parents: false, keep_previous: true }
      await refused(at().sandbox.write(second), 'path_denied')
      expect(await at().sh('ls -A "$1"; cat undone; rm ../.undo', out)).toBe('f\nfirst')
    })

    it('a device behind a name', async () => {
      await at().sh('ln -s /dev/zero zero; ln -s /proc/self/environ environ; ln -s /proc/self/fd/0 fd')
      for (const path of ['zero', 'environ', 'fd']) {
        const outcome = await read(path).catch((error: unknown) => (error instanceof HostError ? error.code : String(error)))
        expect(['path_denied', 'not_found', 'invalid_argument']).toContain(outcome)
      }
    })

    it('a tree nested deeper than it may be', async () => {
      await at().sh('mkdir deep; cd deep; for i in $(seq 1 400); do mkdir d; cd d; done')
      await refused(at().sandbox.remove({ ...at().change('deep'), recursive: true }), 'too_large')
      await refused(at().sandbox.copy(pair('deep', 'deep2')), 'too_large')
      expect(await at().sh('ls -d deep2 2>/dev/null; ls -A | grep cloister; rm -rf deep')).toBe('')
    })
  })

  /** Repeats `attempt` against a swapped directory until both outcomes were seen often; counts refusals by code. */
  async function whileSwapping<T>(out: string, directory: string, attempt: () => Promise<T>) {
    const controller = new AbortController()
    const swapping = at().exec(
      ['perl', '-e', SWAP, out],
      { cwd: `/session/code/${directory}`, timeout_ms: 60_000 },
      { signal: controller.signal },
    )
    const stopped = swapping.catch((error: unknown) => error)
    const results: T[] = []
    const refusals = new Map<string, number>()
    const deadline = Date.now() + 20_000
    for (let i = 0; i < 600 || ((results.length === 0 || !refusals.has('path_denied')) && Date.now() < deadline); i++) {
      try {
        results.push(await attempt())
      } catch (error) {
        if (!(error instanceof HostError)) throw error
        refusals.set(error.code, (refusals.get(error.code) ?? 0) + 1)
      }
    }
    controller.abort(new Error('enough swapping'))
    expect(await stopped).toMatchObject({ message: 'enough swapping' })
    expect(refusals.has('internal')).toBe(false)
    await at().sh(`cd ${directory}; if [ -d d.real ]; then rm -f d; mv d.real d; fi`)
    return { results, refusals }
  }
}
