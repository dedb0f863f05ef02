import { describe, expect, it } from 'vitest'
import { sampleRequest } from '../request.sample.ts'
import { pathScope } from './path-scope.ts'

const check = (path: unknown, access: 'read' | 'write' = 'read', allowed_paths = ['.']) =>
  pathScope.check(
    sampleRequest({ session: { allowed_paths }, tool: { policy: { paths: [{ field: 'path', access }] } }, args: { path } }),
  )

describe('path_scope', () => {
  it.each([
    ['.'],
    ['src/a.ts'],
    ['./src/../README.md'],
    ['/session/code'],
    ['/session/code/src'],
    ['/session/data/x'],
    ['..data/x'],
    [[]],
    [['a', 'b/c']],
    [undefined],
    ['.git/HEAD'],
  ])('reads %j', (path) => {
    expect(check(path)).toBeNull()
  })

  it.each([
    ['../x'],
    ['..'],
    ['src/../../secrets/KEY'],
    ['/etc/passwd'],
    ['/session'],
    ['/session/secrets/KEY'],
    ['/session/codex'],
    ['/session/code/../secrets/KEY'],
    ['//etc/passwd'],
    ['a\0b'],
    [''],
    ['a/'.repeat(3000)],
    [['fine', '../x']],
  ])('refuses %j', (path) => {
    expect(check(path)).toContain('path: ')
  })

  it.each([[1], [null], [{ a: 'x' }], [['x', 1]], [true]])('cannot judge %j, and says so by throwing', (path) => {
    expect(() => check(path)).toThrow('was expected')
  })

  it.each(['.git/config', '.git', 'sub/.git/hooks/pre-commit', '.GIT/config', '/session/data/.git/x', 'a/../.git/config'])(
    'does not write %s',
    (path) => {
      expect(check(path, 'write')).toContain('.git')
    },
  )

  it.each(['.gitignore', 'git/x', '.github/workflows/ci.yml'])('writes %s', (path) => {
    expect(check(path, 'write')).toBeNull()
  })

  it('holds to the allowed paths, and to /session/data besides', () => {
    expect(check('src/a.ts', 'write', ['src'])).toBeNull()
    expect(check('/session/data/a', 'write', ['src'])).toBeNull()
    expect(check('srcx/a.ts', 'read', ['src'])).toContain('src')
    expect(check('.', 'read', ['src'])).not.toBeNull()
    expect(check('src/../test/a', 'read', ['src'])).not.toBeNull()
    expect(check('anything', 'read', ['../..'])).not.toBeNull()
  })

  it('does not look for inherited properties', () => {
    const request = sampleRequest({ tool: { policy: { paths: [{ field: 'constructor', access: 'read' }] } }, args: {} })
    expect(pathScope.check(request)).toBeNull()
  })
})
