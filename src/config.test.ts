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
  [{ VALKEY_ADDR: 'somewhere' }, 'VALKEY_ADDR="somewhere": HOST:PORT'],
  [{ VALKEY_ADDR: 'host:70000' }, 'VALKEY_ADDR="host:70000": a port from 1 to 65535'],
  [{ VALKEY_ADDR: '::1:6379' }, 'an IPv6 address in brackets'],
  [{ VALKEY_PORT: '0' }, 'VALKEY_PORT="0"'],
  [{ VALKEY_DB: '-1' }, 'VALKEY_DB="-1"'],
  [{ INVOCATION_STORE_KEY_PREFIX: 'a b' }, 'INVOCATION_STORE_KEY_PREFIX="a b"'],
  [{ INVOCATION_STORE_TTL_SECONDS: '0' }, 'INVOCATION_STORE_TTL_SECONDS="0"'],
  [{ CLOISTER_RETENTION_DAYS: '-1' }, 'CLOISTER_RETENTION_DAYS="-1"'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://x' }, 'OTEL_EXPORTER_OTLP_ENDPOINT="ftp://x"'],
  [{ CLOISTER_MAX_TOOL_ROLES: 'developer,devosp' }, 'expected one of "developer"|"devops"|"platform_admin"'],
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

it.each([
  ['cache.internal:6380', { host: 'cache.internal', port: 6380 }],
  ['[::1]:6379', { host: '::1', port: 6379 }],
])('VALKEY_ADDR=%s', (text, expected) => {
  expect(loadConfig({ ...HOME, VALKEY_ADDR: text }).VALKEY_ADDR).toEqual(expected)
})
