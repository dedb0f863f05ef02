import { expect, it } from 'vitest'
import { ConfigError, isLoopback, loadConfig } from './config.ts'

const HOME = { HOME: '/home/someone' }

it('has defaults for everything, under the XDG data directory', () => {
  expect(loadConfig(HOME)).toMatchObject({
    PORT: 50053,
    HOST: '127.0.0.1',
    CLOISTER_AUTH: 'token',
    CLOISTER_SANDBOX: 'auto',
    CLOISTER_HOME: '/home/someone/.local/share/cloister',
    WORKSPACE_ROOT: '/home/someone/.local/share/cloister/volumes',
    CLOISTER_SOURCE_ROOTS: [],
  })
  expect(loadConfig({ ...HOME, XDG_DATA_HOME: '/data', PORT: '' })).toMatchObject({
    PORT: 50053,
    CLOISTER_HOME: '/data/cloister',
  })
  expect(Object.isFrozen(loadConfig(HOME))).toBe(true)
})

it.each([
  [{ PORT: 'x' }, 'PORT="x"'],
  [{ PORT: '70000' }, 'PORT="70000"'],
  [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL="loud"'],
  [{ CLOISTER_HOME: 'relative' }, 'CLOISTER_HOME="relative"'],
  [{ CLOISTER_UID_RANGE: '0-10' }, 'CLOISTER_UID_RANGE="0-10"'],
  [{ CLOISTER_SANDBOX: 'docker' }, 'CLOISTER_SANDBOX="docker"'],
  [{ CLOISTER_AUTH: 'payload', HOST: '0.0.0.0' }, 'only with HOST on loopback'],
  [{ CLOISTER_AUTH: 'trusted_headers' }, 'needs WORKSPACE_AUTH_SHARED_TOKEN'],
])('%j stops the start with one line', (variables, expected) => {
  expect(() => loadConfig({ ...HOME, ...variables })).toThrow(ConfigError)
  expect(() => loadConfig({ ...HOME, ...variables })).toThrow(expected)
})

it('does not print a secret that it refuses', () => {
  expect(() => loadConfig({ ...HOME, CLOISTER_JWT_SECRET: 'too-short-secret' })).toThrow(/^CLOISTER_JWT_SECRET=\(not shown\)/)
})

it.each([
  ['127.0.0.1', true],
  ['127.8.8.8', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.1', false],
  ['127.0.0.1.example.org', false],
])('%s is loopback: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected)
})
