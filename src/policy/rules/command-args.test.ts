import { expect, it } from 'vitest'
import { sampleRequest } from '../request.sample.ts'
import { commandArgs } from './command-args.ts'

const check = (extra_args: unknown) =>
  commandArgs.check(
    sampleRequest({
      tool: { policy: { command_args: [{ field: 'extra_args', allow: ['-v', '-race', '-run=', '--maxfail='] }] } },
      args: { extra_args },
    }),
  )

it.each([[undefined], [[]], [['-v', '-race']], [['-run=TestX', '--maxfail=2']]])('accepts %j', (value) => {
  expect(check(value)).toBeNull()
})

it.each([
  [['-exec=/bin/sh']],
  [['-vv']],
  [['-v ']],
  [['-run=']],
  [['-run']],
  [['-v', '; rm -rf .']],
  [['-run=a\nb']],
  [Array.from({ length: 9 }, () => '-v')],
  [[`-run=${'x'.repeat(60)}`]],
])('refuses %j', (value) => {
  expect(check(value)).toContain('extra_args: ')
})
