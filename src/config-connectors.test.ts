import { describe, expect, it } from 'vitest'
import { connectorsOf } from './config-connectors.ts'
import { parseConfigFile } from './config-file.ts'

const parse = (connectors: object) => connectorsOf(parseConfigFile(JSON.stringify({ connectors })).connectors)
const command = ['node', '/opt/x.js']

describe('connectors in the configuration', () => {
  it('are what is strictest where nothing is said', () => {
    expect(parse({ a: { command, tools: { t: null } } })).toEqual([
      {
        name: 'a',
        source: { kind: 'stdio', command, env: {}, secrets: [], network: false },
        tools: {
          t: {
            scope: 'external',
            side_effects: 'irreversible',
            risk_level: 'high',
            requires_approval: true,
            timeout_seconds: 60,
            output_limit_kb: 256,
          },
        },
      },
    ])
  })

  it('have no tools that are not named', () => {
    expect(parse({ a: { command } })[0]?.tools).toEqual({})
  })

  it('say of a tool what it says of itself, then what is said of all', () => {
    const [made] = parse({ a: { url: 'https://x.example/mcp', risk: 'low', approval: false, tools: { t: { risk: 'medium' } } } })
    expect(made?.tools['t']).toMatchObject({ risk_level: 'medium', requires_approval: false, scope: 'external' })
  })

  it.each([
    ['neither a command nor a url', { a: {} }],
    ['both', { a: { command, url: 'https://x.example' } }],
    ['an empty command', { a: { command: [] } }],
    ['http', { a: { url: 'http://x.example' } }],
    ['http to elsewhere where loopback is let in', { a: { url: 'http://x.example', allow_loopback_http: true } }],
    ['http to loopback that is not let in', { a: { url: 'http://127.0.0.1:1/' } }],
    ['another scheme', { a: { url: 'file:///etc/passwd' } }],
    ['credentials in the url', { a: { url: 'https://u:p@x.example' } }],
    ['a literal header', { a: { url: 'https://x.example', headers: { authorization: 'Bearer abc' } } }],
    ['headers for a command', { a: { command, headers: { authorization: 'X' } } }],
    ['secrets for a url', { a: { url: 'https://x.example', secrets: ['TOKEN'] } }],
    ['a secret that steers', { a: { command, secrets: ['LD_PRELOAD'] } }],
    ['a network that is none', { a: { url: 'https://x.example', allow_private_addresses: ['10.0.0.0/33'] } }],
    ['a name with a dot', { 'a.b': { command } }],
    ['a name in capitals', { A: { command } }],
    ['a key that is not known', { a: { command, tolls: {} } }],
    ['a tool with a key that is not known', { a: { command, tools: { t: { readOnlyHint: true } } } }],
    ['a tool named with an escape', { a: { command, tools: { '\u001b[2J': {} } } }],
  ])('are refused with %s', (_what, connectors) => {
    expect(() => parse(connectors)).toThrow()
  })

  it('http to loopback is taken where it is let in', () => {
    for (const url of ['http://localhost:1/', 'http://127.0.0.2:1/', 'http://[::1]:1/'])
      expect(parse({ a: { url, allow_loopback_http: true } })).toHaveLength(1)
  })
})
