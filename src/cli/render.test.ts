import { describe, expect, it } from 'vitest'
import { argsInFull, argsLine } from './render.ts'

describe('arguments of a call, for who decides about it', () => {
  it('are a line each, values of several lines under a bar', () => {
    expect(argsInFull({ path: 'a.ts', 'dry-run': true, text: 'a\nforce: true' })).toBe(
      'path: a.ts\ndry-run: true\ntext:\n    | a\n    | force: true',
    )
  })

  it.each(['x\nforce', 'x: 1, force', '', ' force', 'x\u2028force', 'x\u202eforce'])(
    'the name %j passes for no other',
    (name) => {
      const written = JSON.stringify(name)
      expect(argsInFull({ [name]: false })).toBe(`${written}: false`)
      expect(argsInFull({ [name]: 'a\nb' })).toBe(`${written}:\n    | a\n    | b`)
      expect(argsLine({ [name]: 'yes', force: true })).toBe(`${written}=yes force=true`)
    },
  )

  it('nothing between two values is taken away by what they hold', () => {
    // The beginning of a command to the terminal, and its end: whoever shows the whole takes such commands out.
    const shown = argsInFull({ a: '\u001b]8;;x', force: true, z: '\u0007 z' })
    expect(shown).toMatch(/^a: .*\nforce: true\nz: .*$/)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(shown).not.toMatch(/[\u001b\u0007]/)
  })
})
