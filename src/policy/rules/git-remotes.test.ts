import { expect, it } from 'vitest'
import { sampleRequest } from '../request.sample.ts'
import { gitRemotes } from './git-remotes.ts'

const check = (
  args: Record<string, unknown>,
  metadata: Record<string, string> = {},
  reach: 'source' | 'destination' = 'destination',
) =>
  gitRemotes.check(
    sampleRequest({
      session: { metadata },
      tool: { policy: { remotes: ['remote'], refspecs: [{ field: 'refspec', reach }] } },
      args: { remote: 'origin', ...args },
    }),
  )

it.each(['origin', 'up-stream', 'a.b_c', '0'])('accepts the remote %s', (remote) => {
  expect(check({ remote })).toBeNull()
})

it.each([
  'https://evil.example/x',
  'git@evil.example:x',
  'ext::sh -c x',
  '../other',
  '/tmp/x',
  '.',
  '-o',
  '--upload-pack=x',
  'a b',
  'a/b',
  'a..b',
  '',
  'x'.repeat(101),
  'a\nb',
])('refuses the remote %j', (remote) => {
  expect(check({ remote })).toMatch(/not the name of a remote/)
})

it.each(['main', '+main', 'main:main', 'refs/heads/a:refs/heads/b', 'HEAD:x', 'refs/tags/v1', 'ümlaut', `a/${'b'.repeat(500)}`])(
  'accepts the refspec %s',
  (refspec) => {
    expect(check({ refspec })).toBeNull()
  },
)

it.each([
  '',
  ':',
  ':main',
  'main:',
  'a:b:c',
  '--mirror',
  '-d',
  '*',
  'refs/heads/*:refs/heads/*',
  'a b',
  'a..b',
  'a^',
  'a~1',
  '@',
  'a@{1}',
  'main:HEAD',
  'a.lock',
  'a//b',
  '.a',
  'a\0',
  'x'.repeat(513),
])('refuses the refspec %j', (refspec) => {
  expect(check({ refspec })).toMatch(/^refspec: /)
})

it('is bound by the metadata of the session', () => {
  const remotes = { allowed_git_remotes: 'origin, fork' }
  expect(check({}, remotes)).toBeNull()
  expect(check({ remote: 'fork' }, remotes)).toBeNull()
  expect(check({ remote: 'other' }, remotes)).toMatch(/origin, fork/)
  expect(check({}, { allowed_git_remotes: '' })).toMatch(/it has none/)
  const refs = { allowed_git_ref_prefixes: 'refs/heads/agent/,refs/tags/v' }
  for (const refspec of ['agent/x', 'main:agent/x', 'refs/tags/v1', 'HEAD:refs/heads/agent/y'])
    expect(check({ refspec }, refs)).toBeNull()
  for (const refspec of ['main', 'agent/x:main', 'HEAD', 'refs/heads/agent', 'refs/agent/x'])
    expect(check({ refspec }, refs), refspec).toMatch(/not among the refs/)
  expect(check({ refspec: 'agent/x:main' }, refs, 'source')).toBeNull()
  expect(check({ refspec: 'main:agent/x' }, refs, 'source')).toMatch(/not among the refs/)
  expect(check({}, refs)).toMatch(/name one/)
})

it('refuses what is no text', () => {
  expect(() => check({ remote: 7 })).toThrow()
  expect(() => check({ refspec: {} })).toThrow()
})
