import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { unifiedDiff } from './unified-diff.ts'

test.each([
  ['equal texts', 'a\nb\n', 'a\nb\n', []],
  ['a new file', '', 'a\nb\n', ['@@ -0,0 +1,2 @@', '+a', '+b']],
  ['an emptied file', 'a\n', '', ['@@ -1 +0,0 @@', '-a']],
  ['one line', 'a\nb\nc\n', 'a\nB\nc\n', ['@@ -1,3 +1,3 @@', ' a', '-b', '+B', ' c']],
  ['no line end', 'a', 'a\n', ['@@ -1 +1 @@', '-a', '\\ No newline at end of file', '+a']],
  ['a carriage return', 'a\n', 'a\r\n', ['@@ -1 +1 @@', '-a', '+a\r']],
])('%s', (_what, before, after, expected) => {
  expect(unifiedDiff(before, after)).toEqual(expected)
})

test('changes far from each other have hunks of their own', () => {
  const lines = Array.from({ length: 30 }, (_, i) => `${i + 1}\n`)
  const after = lines.with(2, 'x\n').with(25, 'y\n')
  expect(unifiedDiff(lines.join(''), after.join('')).filter((line) => line.startsWith('@@'))).toEqual([
    '@@ -1,6 +1,6 @@',
    '@@ -23,7 +23,7 @@',
  ])
})

test('git applies it and comes to the same text', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-diff-'))
  const text = fc.array(fc.constantFrom('a\n', 'b\n', 'c\r\n', '\n', 'd\n'), { maxLength: 25 }).map((lines) => lines.join(''))
  fc.assert(
    fc.property(text, text, fc.boolean(), (before, rest, cut) => {
      fc.pre(before !== '')
      const after = cut ? `${rest}end` : rest
      const hunks = unifiedDiff(before, after)
      if (hunks.length === 0) {
        expect(after).toBe(before)
        return
      }
      fc.pre(after !== '')
      writeFileSync(join(folder, 'f'), before)
      const input = `--- a/f\n+++ b/f\n${hunks.join('\n')}\n`
      execFileSync('git', ['apply', '--whitespace=nowarn', '--unidiff-zero', '-'], {
        cwd: folder,
        input,
        env: { PATH: process.env['PATH'] },
      })
      expect(readFileSync(join(folder, 'f'), 'utf8')).toBe(after)
    }),
    { numRuns: 40, examples: [['b\n', 'b\n', false]] },
  )
  rmSync(folder, { recursive: true })
})

test('texts that have nothing in common are replaced, in bounded time', () => {
  const many = (letter: string) => Array.from({ length: 20_000 }, (_, i) => `${letter}${i}\n`).join('')
  expect(unifiedDiff(many('a'), many('b'))).toHaveLength(40_001)
})
