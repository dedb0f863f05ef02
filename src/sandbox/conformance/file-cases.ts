import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { base64, type Harness, ROOTS, refused, scope } from './harness.ts'

const sha = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex')

export function fileCases(at: () => Harness): void {
  const write = (path: string, text: string, more: object = {}) =>
    at().sandbox.write({ ...at().change(path), content_base64: base64(text), create_parents: true, ...more })
  const pair = (source: string, destination: string, more: object = {}) => {
    const { id, invocation_id } = at().change(source)
    const places = { source: scope(source), destination: scope(destination) }
    return { id, invocation_id, ...places, overwrite: false, create_parents: true, recursive: false, ...more }
  }

  describe('files', () => {
    it('writes, reads and describes', async () => {
      const written = await write('basic/a.txt', 'hola')
      expect(written).toEqual({ bytes_written: 4, sha256: sha('hola'), created: true, replayed: false })
      expect(await at().sh('cat basic/a.txt')).toBe('hola')
      expect(await at().sandbox.read({ ...scope('basic/a.txt'), max_bytes: 100 })).toEqual({
        content_base64: base64('hola'),
        size_bytes: 4,
        sha256: sha('hola'),
      })
      expect(await at().sandbox.read({ ...scope('basic/a.txt'), max_bytes: 2, offset: 1 })).toEqual({
        content_base64: base64('ol'),
        size_bytes: 4,
        sha256: null,
      })
      expect(await at().sandbox.stat(scope('basic/a.txt'))).toMatchObject({
        path: '/session/code/basic/a.txt',
        type: 'file',
        size_bytes: 4,
        mode: '0644',
      })
      expect(await at().sandbox.stat(scope('basic/none'))).toBeNull()
      expect(await at().sandbox.stat(scope('none/none'))).toBeNull()
    })

    it('writes under /session/data too, and empty files', async () => {
      await write('/session/data/d.txt', '')
      expect(await at().sandbox.read({ ...scope('/session/data/d.txt'), max_bytes: 10 })).toMatchObject({
        size_bytes: 0,
        sha256: sha(''),
      })
    })

    it('keeps a mode, takes a mode, and strips setuid', async () => {
      await at().sh('mkdir modes; cd modes; touch x s; chmod 751 x; chmod 4755 s')
      await write('modes/x', 'new')
      await write('modes/s', 'new')
      await write('modes/m', 'new', { mode: '0600' })
      expect(await at().sh('cd modes; stat -c "%n %a" m s x')).toBe('m 600\ns 755\nx 751\n')
    })

    it('replaces in one step and leaves no temporary files', async () => {
      await write('step/f', 'old')
      const inode = await at().sh('ln step/f step/hardlink; stat -c %i step/f')
      await write('step/f', 'new')
      expect(await at().sh('cat step/hardlink; ls -A step')).toBe('oldf\nhardlink\n')
      expect(await at().sh('stat -c %i step/f')).not.toBe(inode)
    })

    it('checks what it is told to expect', async () => {
      await write('expect/f', 'one')
      await refused(write('expect/f', 'two', { expect_sha256: sha('other') }), 'changed')
      await refused(write('expect/f', 'two', { expect_sha256: null }), 'changed')
      await refused(write('expect/none', 'two', { expect_sha256: sha('one') }), 'changed')
      expect(await at().sh('cat expect/f; ls -A expect')).toBe('onef\n')
      await write('expect/f', 'two', { expect_sha256: sha('one') })
      expect(await at().read('expect/f')).toBe('two')
    })

    it('lets exactly one of many writers create a file', async () => {
      const writes = Array.from({ length: 20 }, (_, i) => write('only-one', `${i}`, { expect_sha256: null }))
      const outcomes = await Promise.allSettled(writes)
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    })

    it('keeps the previous content outside of what tools reach', async () => {
      await write('undo/f', 'first')
      await at().sh('chmod 755 undo/f')
      await write('undo/f', 'second', { keep_previous: true })
      const kept = `../.undo/${sha('/session/code/undo/f')}`
      expect(await at().sh(`cat ${kept}; stat -c " %a" ${kept}`)).toBe('first 755\n')
      await refused(
        at().sandbox.read({ ...scope(`/session/.undo/${sha('/session/code/undo/f')}`), max_bytes: 10 }),
        'path_denied',
      )
      await at().sh('rm undo/f')
      await write('undo/f', 'third', { keep_previous: true })
      expect(await at().sh(`ls ${kept} 2>/dev/null || echo none`)).toBe('none\n')
    })

    it('gives the previous content back, once', async () => {
      const previous = (path: string) => at().change(path)
      const keepPrevious = (path: string) => at().sandbox.keepPrevious(previous(path))
      const restorePrevious = (path: string) => at().sandbox.restorePrevious(previous(path))
      await write('back/f', 'first')
      await at().sh('chmod 755 back/f')
      await write('back/f', 'second', { keep_previous: true })
      const again = previous('/session/code/back/f')
      expect(await at().sandbox.restorePrevious(again)).toEqual({ sha256: sha('first') })
      await write('back/f', 'third')
      // The same operation again has no second effect; another one finds nothing.
      expect(await at().sandbox.restorePrevious(again)).toEqual({ sha256: sha('first') })
      expect(await at().read('back/f')).toBe('third')
      await refused(restorePrevious('/session/code/back/f'), 'not_found')

      expect(await keepPrevious('/session/code/back/f')).toEqual({ kept: true })
      await at().sh('rm -r back')
      expect(await restorePrevious('/session/code/back/f')).toEqual({ sha256: sha('third') })
      expect(await at().sh('cat back/f; stat -c " %a" back/f')).toBe('third 755\n')

      // What was kept of a file is forgotten with it.
      await keepPrevious('/session/code/back/f')
      await at().sh('rm -r back')
      expect(await keepPrevious('/session/code/back/f')).toEqual({ kept: false })
      await refused(restorePrevious('/session/code/back/f'), 'not_found')
    })

    it('gives nothing back that was planted as a link, and nothing outside', async () => {
      const previous = (path: string) => at().change(path)
      await write('planted/f', 'mine')
      const kept = `../.undo/${sha('/session/code/planted/f')}`
      await at().sh(`mkdir -p ../.undo && ln -sf /etc/hostname ${kept}`)
      await refused(at().sandbox.restorePrevious(previous('/session/code/planted/f')), 'not_found')
      await at().sh(`rm ${kept} && mkdir ${kept}`)
      await refused(at().sandbox.restorePrevious(previous('/session/code/planted/f')), 'not_found')
      await at().sh(`rmdir ${kept} && mkfifo ${kept}`)
      await refused(at().sandbox.restorePrevious(previous('/session/code/planted/f')), 'not_found')
      await at().sh(`rm ${kept}; ln -s ../data out; echo x > ${kept}`)
      expect(await at().read('planted/f')).toBe('mine')
      for (const path of ['/session/secrets/x', '/session/code/../.undo/x', '/session/code/.git/config'])
        await refused(at().sandbox.restorePrevious(previous(path)), 'path_denied')
      await refused(at().sandbox.keepPrevious(previous('/session/code/.git/config')), 'path_denied')
      await refused(at().sandbox.restorePrevious({ ...previous('/session/code/out/x'), roots: ['/session/code'] }), 'path_denied')
    })

    it('lists in bytewise order, to its limit, without following links', async () => {
      await at().sh('mkdir -p list/a list/.git && touch list/a/x list/a-b list/a.c list/.git/config && ln -s / list/link')
      const list = (more: object) =>
        at().sandbox.list({ ...scope('list'), recursive: true, max_entries: 100, skip_git: true, ...more })
      const paths = async (more: object) => (await list(more)).entries.map(({ path }) => path.replace('/session/code/list/', ''))
      expect(await paths({})).toEqual(['a', 'a-b', 'a.c', 'a/x', 'link'])
      expect(await paths({ recursive: false })).toEqual(['a', 'a-b', 'a.c', 'link'])
      expect(await paths({ skip_git: false })).toEqual(['.git', '.git/config', 'a', 'a-b', 'a.c', 'a/x', 'link'])
      expect(await list({ max_entries: 2 })).toMatchObject({ truncated: true, entries: [{ type: 'dir' }, { type: 'file' }] })
      const inGit = await at().sandbox.list({ ...scope('list/.git'), recursive: false, max_entries: 10, skip_git: true })
      expect(inGit.entries.map(({ path }) => path)).toEqual(['/session/code/list/.git/config'])
    })

    it('makes, moves, copies and removes', async () => {
      const mkdir = (path: string, more: object = {}) =>
        at().sandbox.mkdir({ ...at().change(path), create_parents: true, mode: '0750', ...more })
      expect(await mkdir('tree/sub')).toEqual({ created: true })
      expect(await mkdir('tree/sub')).toEqual({ created: false })
      expect(await at().sh('stat -c %a tree/sub')).toBe('750\n')
      await write('tree/sub/f', 'f')
      await at().sh('chmod 711 tree/sub/f; ln -s f tree/sub/l; ln -s /nowhere tree/sub/dangling')
      expect(await at().sandbox.copy(pair('tree', 'copied/tree', { recursive: true }))).toEqual({ type: 'dir' })
      expect(await at().sh('cd copied/tree/sub; stat -c "%a %F" . f l; readlink l dangling; ls -A ..')).toBe(
        '750 directory\n711 regular file\n777 symbolic link\nf\n/nowhere\nsub\n',
      )
      expect(await at().sandbox.move(pair('copied/tree/sub/l', 'copied/moved'))).toEqual({ type: 'symlink' })
      expect(await at().sandbox.copy(pair('tree/sub/f', 'copied/f'))).toEqual({ type: 'file' })
      await refused(at().sandbox.copy(pair('tree/sub/f', 'copied/f')), 'exists')
      await refused(at().sandbox.move(pair('tree/sub/f', 'copied/f')), 'exists')
      await at().sandbox.move(pair('tree/sub/f', 'copied/f', { overwrite: true }))
      const remove = (path: string, recursive: boolean) => at().sandbox.remove({ ...at().change(path), recursive })
      await refused(remove('copied', false), 'is_directory')
      expect(await remove('copied', true)).toEqual({ existed: true })
      expect(await remove('copied', true)).toEqual({ existed: false })
      expect(await at().sh('ls -A | grep copied || echo gone')).toBe('gone\n')
    })

    it('copies and removes names that are not UTF-8', async () => {
      await at().sh(`mkdir bytes && touch bytes/$'\\xff\\xfe'`)
      await at().sandbox.copy(pair('bytes', 'bytes2', { recursive: true }))
      expect(await at().sh('ls bytes2 | od -An -tx1')).toContain('ff fe')
      await at().sandbox.list({ ...scope('bytes'), recursive: true, max_entries: 10, skip_git: true })
      await at().sandbox.remove({ ...at().change('bytes'), recursive: true })
      expect(await at().sh('ls -d bytes 2>/dev/null || echo gone')).toBe('gone\n')
    })

    it('does each id once', async () => {
      const request = { ...at().change('once-file'), content_base64: base64('first'), create_parents: true }
      await at().sandbox.write(request)
      await at().sh('echo changed > once-file')
      expect(await at().sandbox.write(request)).toMatchObject({ replayed: true, created: true, sha256: sha('first') })
      expect(await at().read('once-file')).toBe('changed\n')
      const gone = { ...at().change('once-file'), recursive: false }
      expect(await at().sandbox.remove(gone)).toEqual({ existed: true })
      await write('once-file', 'again')
      expect(await at().sandbox.remove(gone)).toEqual({ existed: true })
      expect(await at().read('once-file')).toBe('again')
      const outcomes = await at().sandbox.outcomes(request.invocation_id)
      expect(outcomes).toEqual([{ id: request.id, invocation_id: request.invocation_id, kind: 'file', state: 'done' }])
    })

    it('answers a refused id with the same refusal', async () => {
      const request = { ...at().change('refused/f'), content_base64: base64('x'), create_parents: false }
      await refused(at().sandbox.write(request), 'not_found')
      await at().sh('mkdir refused')
      await refused(at().sandbox.write(request), 'not_found')
      expect(await at().sh('ls -A refused')).toBe('')
    })

    it('answers a question with an id as it did before, until the invocation is acknowledged', async () => {
      const { id, invocation_id } = at().change('x')
      const ask = (what: string, more: object = {}) =>
        at().sandbox.read({ ...scope('asked/f'), max_bytes: 100, id: `${id}/${what}`, invocation_id, ...more })
      await refused(ask('absent'), 'not_found')
      await write('asked/f', 'before')
      expect(await at().sandbox.stat({ ...scope('asked/f'), id: `${id}/stat`, invocation_id })).toMatchObject({ size_bytes: 6 })
      expect(await ask('content')).toMatchObject({ content_base64: base64('before') })
      await write('asked/f', 'after it')
      await refused(ask('absent'), 'not_found')
      expect(await ask('content')).toMatchObject({ content_base64: base64('before') })
      expect(await at().sandbox.stat({ ...scope('asked/f'), id: `${id}/stat`, invocation_id })).toMatchObject({ size_bytes: 6 })
      // Another question under the same id, and one without an id, are not what was asked before.
      expect(await ask('content', { offset: 1 })).toMatchObject({ content_base64: base64('fter it') })
      expect(await at().sandbox.read({ ...scope('asked/f'), max_bytes: 100 })).toMatchObject({
        content_base64: base64('after it'),
      })
      expect(await at().sandbox.outcomes(invocation_id)).toEqual([])
      await at().sandbox.acknowledge(invocation_id)
      expect(await ask('content')).toMatchObject({ content_base64: base64('after it') })
    })

    it('streams large files both ways', async () => {
      const bytes = randomBytes(40_000_000)
      const upload = { ...at().change('large/file'), create_parents: true }
      const written = await at().sandbox.upload(
        upload,
        Readable.from([bytes.subarray(0, 25_000_000), bytes.subarray(25_000_000)]),
      )
      expect(written).toEqual({ bytes_written: bytes.length, sha256: sha(bytes), created: true, replayed: false })
      expect(await at().sh('sha256sum < large/file')).toContain(sha(bytes))
      const { size_bytes, stream } = await at().sandbox.download(scope('large/file'))
      expect(size_bytes).toBe(bytes.length)
      expect(sha(await buffer(stream))).toBe(sha(bytes))
      const part = await at().sandbox.read({ ...scope('large/file'), max_bytes: 1_000_000, offset: 39_500_000 })
      expect(Buffer.from(part.content_base64, 'base64').equals(bytes.subarray(39_500_000))).toBe(true)
    })

    it('leaves nothing of an upload that is cut, and takes the same id again', async () => {
      await at().sh('mkdir cut')
      const request = { ...at().change('cut/file'), create_parents: true }
      async function* half(): AsyncGenerator<Buffer> {
        yield Buffer.alloc(100_000)
        throw new Error('the source failed')
      }
      await expect(at().sandbox.upload(request, Readable.from(half()))).rejects.toThrow()
      expect(await at().sh('for i in $(seq 100); do [ -z "$(ls -A cut)" ] && break; sleep 0.05; done; ls -A cut')).toBe('')
      expect(await at().sandbox.upload(request, Readable.from([Buffer.from('whole')]))).toMatchObject({
        replayed: false,
        created: true,
      })
      expect(await at().read('cut/file')).toBe('whole')
    })

    it('refuses an upload as often as it is tried, however much of the body is still to come', async () => {
      await at().sh('ln -s /etc/passwd upload-link')
      for (const size of [1, 1, 5_000_000, 1, 5_000_000, 1, 1, 1]) {
        const request = { ...at().change('upload-link'), create_parents: false }
        await refused(
          at().sandbox.upload(request, Readable.from([Buffer.alloc(size, 'x')], { objectMode: false })),
          'path_denied',
        )
      }
      expect(await at().sh('echo still here')).toBe('still here\n')
    })

    it('serves others while it works on a large tree', async () => {
      await at().sh('mkdir -p many && cd many && seq 1 4000 | xargs touch')
      const copying = at().sandbox.copy(pair('many', 'many2', { recursive: true }))
      const limit = await at().exec(['sleep', '30'], { timeout_ms: 50 })
      expect(limit.timed_out).toBe(true)
      await copying
      expect(await at().sh('ls many2 | wc -l')).toBe('4000\n')
    })

    describe('refusals', () => {
      it.each<[string, string, () => Promise<unknown>]>([
        ['reading what is not there', 'not_found', () => at().sandbox.read({ ...scope('nothing'), max_bytes: 1 })],
        ['reading a directory', 'is_directory', () => at().sandbox.read({ ...scope('r'), max_bytes: 1 })],
        ['reading through a file', 'not_a_directory', () => at().sandbox.read({ ...scope('r/file/x'), max_bytes: 1 })],
        [
          'reading more than an answer holds',
          'invalid_argument',
          () => at().sandbox.read({ ...scope('r/file'), max_bytes: 2 ** 30 }),
        ],
        ['reading a FIFO', 'invalid_argument', () => at().sandbox.read({ ...scope('r/fifo'), max_bytes: 1 })],
        ['downloading a FIFO', 'invalid_argument', () => at().sandbox.download(scope('r/fifo'))],
        ['writing a FIFO', 'invalid_argument', () => write('r/fifo', 'x')],
        ['copying a FIFO', 'invalid_argument', () => at().sandbox.copy(pair('r/fifo', 'r/fifo2'))],
        ['writing a directory', 'is_directory', () => write('r', 'x')],
        ['writing through a file', 'not_a_directory', () => write('r/file/x', 'x')],
        ['writing without parents', 'not_found', () => write('r/none/x', 'x', { create_parents: false })],
        ['a name that is too long', 'invalid_argument', () => write(`r/${'n'.repeat(300)}`, 'x')],
        ['a mode with setuid', 'invalid_argument', () => write('r/new', 'x', { mode: '4755' })],
        ['content that is not base64', 'invalid_argument', () => write('r/new', '', { content_base64: 'a' })],
        [
          'a directory over a file',
          'exists',
          () => at().sandbox.mkdir({ ...at().change('r/file'), create_parents: true, mode: '0755' }),
        ],
        [
          'listing a file',
          'not_a_directory',
          () => at().sandbox.list({ ...scope('r/file'), recursive: false, max_entries: 1, skip_git: true }),
        ],
        ['copying a directory without being told', 'is_directory', () => at().sandbox.copy(pair('r', 'r2'))],
        [
          'copying a directory into itself',
          'invalid_argument',
          () => at().sandbox.copy(pair('r', 'r/in/it', { recursive: true })),
        ],
        ['moving a directory into itself', 'invalid_argument', () => at().sandbox.move(pair('r', 'r/it'))],
        ['moving onto itself', 'invalid_argument', () => at().sandbox.move(pair('r/file', 'r/file', { overwrite: true }))],
        [
          'replacing a directory by a file',
          'is_directory',
          () => at().sandbox.move(pair('r/file', 'r/full', { overwrite: true })),
        ],
        ['replacing a full directory', 'exists', () => at().sandbox.move(pair('r/other', 'r/full', { overwrite: true }))],
        ['removing a root', 'path_denied', () => at().sandbox.remove({ ...at().change('.'), recursive: true })],
        ['moving a root', 'path_denied', () => at().sandbox.move(pair('/session/data', 'r/data'))],
        ['a NUL in a path', 'invalid_argument', () => at().sandbox.read({ ...scope('r/fi\0le'), max_bytes: 1 })],
        ['a NUL in a path to write', 'invalid_argument', () => write('r/fi\0le', 'x')],
        ['no roots', 'invalid_argument', () => at().sandbox.read({ path: '/session/code/r/file', roots: [], max_bytes: 1 })],
      ])('%s is %s', async (_title, code, work) => {
        await at().sh('[ -d r ] || { mkdir -p r/full r/other && touch r/file r/full/x && mkfifo r/fifo; }')
        const before = await at().sh('find r | sort; cat r/file')
        await refused(work(), code)
        expect(await at().sh('find r | sort; cat r/file')).toBe(before)
      })

      it('says so when permissions do not allow it', async () => {
        await at().sh('mkdir locked; touch locked/f closed; chmod 000 locked closed')
        if ((await at().sh('id -u')).trim() === '0') {
          // The process driver of a root server: no permission stops root.
          expect(await at().sandbox.read({ ...scope('closed'), max_bytes: 1 })).toMatchObject({ size_bytes: 0 })
          return
        }
        await refused(at().sandbox.read({ ...scope('closed'), max_bytes: 1 }), 'invalid_argument')
        await refused(write('locked/new', 'x'), 'invalid_argument')
        await at().sh('chmod 700 locked')
      })

      it('does not hand out another root', async () => {
        await write('roots/in/f', 'in')
        await write('roots/out/f', 'out')
        await at().sh('ln -s ../out/f roots/in/link')
        const only = (path: string) => ({ path: `/session/code/roots/${path}`, roots: ['/session/code/roots/in'] })
        expect((await at().sandbox.read({ ...only('in/f'), max_bytes: 9 })).size_bytes).toBe(2)
        await refused(at().sandbox.read({ ...only('out/f'), max_bytes: 9 }), 'path_denied')
        await refused(at().sandbox.read({ ...only('in/link'), max_bytes: 9 }), 'path_denied')
        await refused(at().sandbox.read({ path: '/etc/passwd', roots: ['/etc'], max_bytes: 9 }), 'path_denied')
        expect(ROOTS).toContain('/session/data')
      })
    })
  })
}
