import { describe, expect, it } from 'vitest'
import { type Harness, refused, scope } from './harness.ts'

export function digestCases(at: () => Harness): void {
  describe('digests', () => {
    const digest = async (path: string) => (await at().sandbox.digest(scope(path))).sha256
    const PREPARED = `rm -rf g; mkdir -p g/a/b g/.git g/x/.git; cd g; echo one > a/b/f; ln -s a/b/f link; touch .git/HEAD x/.git/HEAD
head -c 2000000 /dev/zero > large; mkfifo fifo`

    it('are none of what is not there', async () => {
      expect(await digest('g-missing')).toBeNull()
      expect(await digest('g-missing/below')).toBeNull()
    })

    it.each([
      ['a', 'echo two > a/b/f'],
      ['a', 'touch -r a/b/f t; echo two > a/b/f; touch -r t a/b/f'],
      ['a', 'echo > a/new'],
      ['a', 'rm a/b/f'],
      ['a', 'chmod 700 a/b/f'],
      ['a', 'mv a/b/f a/b/g'],
      ['a', 'mkdir a/empty'],
      ['a', 'rm a/b/f; ln -s ../../large a/b/f'],
      ['large', 'touch -r large t; echo x | dd of=large conv=notrunc 2>&1; touch -r t large'],
      ['link', 'echo two > a/b/f'],
      ['link', 'ln -sfn large link'],
      ['link', 'rm a/b/f'],
      ['.', 'rm fifo'],
    ])('of %s differ after: %s', async (path, change) => {
      await at().sh(PREPARED)
      const before = await digest(`g/${path}`)
      expect(before).toMatch(/^[0-9a-f]{64}$/)
      await at().sh(`cd g; ${change}`)
      expect(await digest(`g/${path}`)).not.toBe(before)
    })

    it('are the same while nothing changed, also of what was written anew, and whatever git notes', async () => {
      await at().sh(PREPARED)
      const before = await digest('g')
      await at().sh('cd g; echo one > a/b/f; touch a a/b; echo x > .git/HEAD; echo x > x/.git/index; ls -R . > /dev/null')
      expect(await digest('g')).toBe(before)
    })

    it('tell trees apart whose names and contents run together', async () => {
      await at().sh('rm -rf g; mkdir -p g/1/ab g/2/a g/2/b; touch g/1/ab/c g/2/a/c')
      expect(await digest('g/1')).not.toBe(await digest('g/2'))
    })

    it('are of nothing outside', async () => {
      await at().sh('rm -rf g; mkdir g; ln -s /etc/passwd g/out; ln -s ../../secrets g/secrets')
      await refused(digest('g/out'), 'path_denied')
      await refused(digest('g/secrets'), 'path_denied')
      await refused(digest('/session/secrets'), 'path_denied')
      // In a tree a link is a link, wherever it leads.
      expect(await digest('g')).toMatch(/^[0-9a-f]{64}$/)
    })
  })
}
