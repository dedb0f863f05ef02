import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { binsOf, refuseBind, shownBy } from './extra-binds.ts'

let root: string
let home: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'binds-'))
  home = join(root, 'user/.local/cloister')
  mkdirSync(join(home, 'sessions'), { recursive: true })
  mkdirSync(join(root, 'tools/bin'), { recursive: true })
  symlinkSync(home, join(root, 'alias'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('a bind of the administrator', () => {
  test('of a toolchain is taken, with its programs on PATH', () => {
    expect(refuseBind(join(root, 'tools'), [home])).toBeNull()
    expect(binsOf([join(root, 'tools'), join(root, 'tools/bin'), join(root, 'user')])).toEqual([
      join(root, 'tools/bin'),
      join(root, 'tools/bin'),
    ])
  })

  test.each(['', 'sessions'])('of our home or what is in it is refused: %s', (name) => {
    expect(refuseBind(join(home, name), [home])).toContain('belongs to the server')
  })

  test('of a directory that holds our home is refused', () => {
    expect(refuseBind(join(root, 'user'), [home])).toContain('belongs to the server')
  })

  test('of our home under another name is refused', () => {
    expect(refuseBind(join(root, 'alias'), [home])).toContain('belongs to the server')
  })

  test.each([
    '/',
    '/proc',
    '/dev',
    '/sys',
    '/etc',
    '/etc/ssl',
    '/run',
    '/tmp',
    '/usr',
    'relative',
    '/does-not-exist-here',
    '/tmp/../etc',
  ])('of %s is refused', (path) => {
    expect(refuseBind(path, [home])).not.toBeNull()
  })

  test('that is not ours stands beside directories of ours that do not exist yet', () => {
    expect(refuseBind(join(root, 'tools'), [join(root, 'later/home')])).toBeNull()
    expect(refuseBind(join(root, 'alias'), [join(home, 'later')])).toContain('belongs to the server')
  })
})

test.each([
  ['/usr', '/usr/local/share/cloister', true],
  ['/usr', '/var/lib/cloister', false],
])('a system at %s shows %s: %s', (system, own, shown) => {
  expect(shownBy(system, ['/elsewhere', own])).toBe(shown ? own : null)
})
