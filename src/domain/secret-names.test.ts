import { expect, it } from 'vitest'
import { refuseSecrets, secretWarnings } from './secret-names.ts'

it.each([
  ['API_TOKEN', null],
  ['github_token', null],
  ['_x1', null],
  ['NODE_AUTH_TOKEN', null],
  ['PYPI_TOKEN', null],
  ['CC_TOKEN', null],
  ['https_proxy', 'steers'],
  ['CC', 'steers'],
  ['1A', 'must match'],
  ['A-B', 'must match'],
  ['../x', 'must match'],
  ['', 'must match'],
  ['PATH', 'steers'],
  ['LD_PRELOAD', 'steers'],
  ['NODE_OPTIONS', 'steers'],
  ['NODE_PATH', 'steers'],
  ['BASH_ENV', 'steers'],
  ['BASH_FUNC_ls', 'steers'],
  ['PYTHONPATH', 'steers'],
  ['PYTHONSTARTUP', 'steers'],
  ['PERL5LIB', 'steers'],
  ['RUBYOPT', 'steers'],
  ['JAVA_TOOL_OPTIONS', 'steers'],
  ['GIT_SSH_COMMAND', 'steers'],
  ['GIT_TOKEN_HELPER', 'steers'],
  ['GIT_TOKEN', null],
  ['CLOISTER_INVOCATION', 'steers'],
  ['npm_config_registry', 'steers'],
])('%s: %s', (name, expected) => {
  const refused = refuseSecrets({ [name]: 'some-value' })
  if (expected === null) expect(refused).toBeNull()
  else expect(refused?.reason).toContain(expected)
})

it('refuses NUL bytes, long values and too many', () => {
  expect(refuseSecrets({ A: 'x\0y' })?.reason).toContain('NUL')
  expect(refuseSecrets({ A: 'x'.repeat(65_537) })?.reason).toContain('65536')
  expect(refuseSecrets(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`S${i}`, 'v'])))?.reason).toContain('100')
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`S${i}`, 'x'.repeat(65_536)]))
  expect(refuseSecrets(many(8))).toBeNull()
  expect(refuseSecrets(many(9))?.reason).toContain('altogether')
})

it('says which secrets are too short to be redacted, and never their value', () => {
  const warnings = secretWarnings({ SHORT: 'abc12', LONG: 'abc123' })
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain('SHORT')
  expect(warnings[0]).not.toContain('abc12')
})
