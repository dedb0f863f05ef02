import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadCatalog } from '../../src/catalog/load-catalog.ts'
import type { ToolMetadata } from '../../src/domain/tool.ts'
import { GitHttpServer } from '../support/git-http-server.ts'
import { ServerProcess } from '../support/server-process.ts'
import { undeclaredError } from '../support/tool-errors.ts'

/**
 * Random arguments against every tool's schema, through the whole server: never our fault (5xx), never an error that the tool does not
 * declare, never a call that hangs, never a file touched outside of the session. The seed is printed; CLOISTER_TEST_SEED plays it again.
 */

const CASES_PER_TOOL = 40
/** Longer than any of these calls has a reason to take on a project of three files, in ms. */
const HANGS = 120_000
const SEED = Number(process.env['CLOISTER_TEST_SEED'] ?? Date.now() % 2 ** 31)

interface Schema {
  type?: string
  enum?: unknown[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  minimum?: number
  maximum?: number
  maxLength?: number
}

let server: ServerProcess
let outside: string
let tools: ToolMetadata[]
let id: string
let networked: string
let other: string
let repositories: string
let origin: GitHttpServer
beforeAll(async () => {
  outside = mkdtempSync(join(tmpdir(), 'cloister-outside-'))
  writeFileSync(join(outside, 'canary'), 'untouched')
  repositories = mkdtempSync(join(tmpdir(), 'cloister-properties-'))
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', join(repositories, 'origin')])
  origin = await GitHttpServer.start(repositories, { push: true })
  server = await ServerProcess.start({
    env: {
      CLOISTER_SHELL: '1',
      CLOISTER_ALLOW_HOST_NETWORK: '1',
      WORKSPACE_RATE_LIMIT_PER_MINUTE: '0',
      WORKSPACE_RATE_LIMIT_PER_MINUTE_PER_PRINCIPAL: '0',
      WORKSPACE_MAX_CONCURRENCY_PER_SESSION: '0',
    },
  })
  other = (await server.session({ secrets: { OTHER_TOKEN: 'the-other-sessions-secret' }, setup: '#!/bin/sh\necho mine > file' }))
    .id
  const session = await server.session({
    principal: { tenant_id: 'default', actor_id: 'admin', roles: ['developer', 'devops', 'platform_admin'] },
    secrets: { API_TOKEN: 'properties-secret-value' },
    setup:
      '#!/bin/sh\ngit init -q . && mkdir src && echo a > src/a.txt && echo b > b.txt && ln -s /etc link && git add src b.txt',
  })
  expect(session).toMatchObject({ state: 'idle', state_reason: null })
  id = session.id
  const connected = await server.session({
    principal: { tenant_id: 'default', actor_id: 'admin', roles: ['developer', 'devops', 'platform_admin'] },
    network: 'host',
    setup: [
      '#!/bin/sh',
      'set -e',
      'git init -q -b main . && git config user.name a && git config user.email a@b && echo a > b.txt && git add . && git commit -qm a',
      `git remote add origin ${origin.origin}/origin && git push -q origin main main:other`,
    ].join('\n'),
  })
  expect(connected).toMatchObject({ state: 'idle', state_reason: null })
  networked = connected.id
  origin.requests.length = 0
  tools = (await server.request('GET', `/v1/sessions/${networked}/tools`)).body.tools
})
afterAll(async () => {
  await server?.destroy()
  await origin?.stop()
  rmSync(outside, { recursive: true })
  rmSync(repositories, { recursive: true, force: true })
})

const hostileString = (maxLength = 10_000) =>
  fc.oneof(
    fc.constantFrom(
      '.',
      '..',
      '../..',
      '/',
      '',
      '~',
      'src',
      'src/a.txt',
      'b.txt',
      'b.txt/below',
      'link/passwd',
      'new/file',
      '/session/data/x',
      '/session/secrets/API_TOKEN',
      '.git/config',
    ),
    fc.constantFrom(
      '-rf',
      '--help',
      '--output=x',
      '--upload-pack=id',
      '-C/',
      'HEAD',
      'origin',
      'main',
      'other:main',
      'HEAD~1',
      '*',
      '(',
      '[',
      '\\',
      '%00',
      '\u0000',
      '\ud800',
      '🦀',
      '$(id)',
      '`id`',
      '; id',
      '| id',
      '\n',
      '__proto__',
      'constructor',
    ),
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ minLength: Math.min(maxLength, 300), maxLength: Math.min(maxLength + 1, 5000) }),
  )

function argument(schema: Schema): fc.Arbitrary<unknown> {
  const fitting = (): fc.Arbitrary<unknown> => {
    if (schema.enum) return fc.constantFrom(...schema.enum)
    switch (schema.type) {
      case 'string':
        return hostileString(schema.maxLength)
      case 'integer':
      case 'number':
        return fc.oneof(
          fc.integer({
            min: Math.max(schema.minimum ?? -5, -1e9),
            max: Math.min(schema.maximum ?? 1e9, (schema.minimum ?? 0) + 50),
          }),
          fc.constantFrom(0, -1, 2 ** 31, 2 ** 53, 1.5),
        )
      case 'boolean':
        return fc.boolean()
      case 'array':
        return fc.array(argument(schema.items ?? {}), { maxLength: 10 })
      case 'object':
        return argsOf(schema)
      default:
        return fc.jsonValue({ maxDepth: 2 })
    }
  }
  return fc.oneof({ weight: 9, arbitrary: fitting() }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) })
}

function argsOf(schema: Schema): fc.Arbitrary<unknown> {
  const properties = Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, property]) => [name, argument(property)]),
  )
  return fc.record(properties, { requiredKeys: schema.required ?? [] })
}

it('whatever the arguments, a call is answered, is not our fault, and stays inside', async () => {
  process.stdout.write(`seed: ${SEED}\n`)
  const before = fingerprint()
  const tried = new Map<string, number>()
  for (const tool of tools) {
    await fc.assert(
      fc.asyncProperty(argsOf(tool.input_schema as Schema), fc.boolean(), async (args, approved) => {
        tried.set(tool.name, (tried.get(tool.name) ?? 0) + 1)
        const answer = await Promise.race([
          server.invoke(
            tool.policy.needs_network ? networked : id,
            tool.name,
            args as Record<string, unknown>,
            approved ? { approved } : {},
          ),
          new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`${tool.name} hangs`)), HANGS).unref()),
        ])
        expect([tool.name, answer.status, answer.text.slice(0, 500)]).toEqual([
          tool.name,
          expect.toSatisfy((status) => status < 500),
          expect.any(String),
        ])
        expect([tool.name, undeclaredError(tool, answer)]).toEqual([tool.name, null])
        expect(answer.text).not.toMatch(/root:[^"]*:0:0|properties-secret-value|the-other-sessions-secret/)
      }),
      {
        numRuns: CASES_PER_TOOL,
        seed: SEED,
        // What the tool's documentation shows comes first: those of git's with a remote reach it.
        examples: tool.examples.map(({ args }): [unknown, boolean] => [args, true]),
        endOnFailure: true,
        interruptAfterTimeLimit: 120_000,
        markInterruptAsFailure: true,
      },
    )
  }
  const cases = [...tried.values()].reduce((sum, count) => sum + count, 0)
  process.stdout.write(`${cases} calls of ${tried.size} tools\n`)
  const catalog = (await loadCatalog()).list().map(({ metadata }) => [metadata.name, CASES_PER_TOOL] as const)
  expect(Object.fromEntries(tried)).toEqual(Object.fromEntries(catalog))
  expect(origin.requests.length).toBeGreaterThan(0)
  expect(server.output).not.toContain('does not declare')
  expect(fingerprint()).toEqual(before)
  expect((await server.request('GET', `/v1/sessions/${id}/events/verify`)).body.valid).toBe(true)
}, 1_200_000)

/** What no call may change: another session's files, all secrets, the files beside them. */
function fingerprint(): Record<string, string> {
  const hash = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')
  const files = (directory: string) =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  const volumes = join(server.home, 'volumes')
  return Object.fromEntries([
    ...[...files(join(volumes, other)), ...files(join(volumes, id, 'secrets')), ...files(outside)].map((path) => [
      path,
      hash(path),
    ]),
    [
      'home',
      readdirSync(server.home)
        .filter((name) => !/^cloister\.db|^server\.lock/.test(name))
        .sort()
        .join(),
    ],
    ['volumes', readdirSync(volumes).sort().join()],
    ['/etc', readdirSync('/etc').sort().join()],
    ['/etc/passwd', String(statSync('/etc/passwd').mtimeMs)],
  ])
}
