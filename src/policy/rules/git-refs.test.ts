import { expect, it } from 'vitest'
import { sampleRequest } from '../request.sample.ts'
import { gitRefs } from './git-refs.ts'

const check = (ref: unknown) => gitRefs.check(sampleRequest({ tool: { policy: { refs: ['ref'] } }, args: { ref } }))

it.each([
  'HEAD',
  'HEAD~2',
  'HEAD^',
  'HEAD^^2~1',
  'main',
  'feature/x-1',
  'v1.0',
  '@',
  '@{u}',
  '@{-1}',
  'main@{upstream}',
  'v1^{commit}',
  'v1^{}',
  'a'.repeat(256),
  'deadbeef',
  'ümlaut',
  undefined,
])('accepts %s', (ref) => {
  expect(check(ref)).toBeNull()
})

it.each([
  '--output=/tmp/x',
  '-x',
  'HEAD:secret',
  ':/text',
  'a..b',
  'a...b',
  '^main',
  '',
  ' ',
  'a b',
  'a\nb',
  'a\0b',
  'a\x7fb',
  'a?',
  'a*',
  'a[b',
  'a\\b',
  'a//b',
  '/a',
  'a/',
  'a.',
  '.a',
  'a/.b',
  'a.lock',
  'a.lock/b',
  'a@{now}',
  'HEAD^{/fix}',
  'a@{',
  'a'.repeat(257),
  'a~b',
])('refuses %j', (ref) => {
  expect(check(ref)).toContain('ref: ')
})

it('refuses one of a list', () => {
  expect(check(['main', '--all'])).toContain('--all')
  expect(() => check(['main', 1])).toThrow('was expected')
})
