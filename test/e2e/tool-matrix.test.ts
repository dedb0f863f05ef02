import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ToolMetadata } from '../../src/domain/tool.ts'
import { GitHttpServer } from '../support/git-http-server.ts'
import { type Answer, ServerProcess } from '../support/server-process.ts'
import { type Case, TOOL_CASES, WORKSPACES, type Workspace } from '../support/tool-cases.ts'
import { errorOfTool, undeclaredError } from '../support/tool-errors.ts'

/**
 * Every tool of the catalog through the whole server: on real input, into every error that it declares, and against the same
 * attacks. A cell is empty only where the tool's metadata makes the check meaningless: no path, no ref, no approval, nothing with a
 * bound; the suite fails on any other. What is to be shown of errors is counted by the tool's own metadata, not by the cases: a declared
 * one that no case ends with fails the suite, and so does one that any call here ends with and the tool does not declare.
 */

interface Schema {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  minimum?: number
  maximum?: number
  maxLength?: number
  maxItems?: number
}

const CHECKS = [
  'unknown field',
  'missing',
  'wrong types',
  'limits',
  'path escape',
  'link escape',
  'refs',
  'approval',
  'success',
  'errors',
] as const
type Check = (typeof CHECKS)[number]

const HOSTILE_REFS = ['--output=/session/code/stolen', '-n', 'HEAD:README.md', 'a..b~{', 'x'.repeat(300)]

const PLANT_LINKS =
  'rm -rf link-* && ln -s /etc link-directory && ln -s /etc/passwd link-file && ln -s /session/secrets link-secrets'

const TOOLS_FOLDER = fileURLToPath(new URL('../../src/tools/', import.meta.url))

let server: ServerProcess
let id: string
let tools: ToolMetadata[]
let repositories: string
let origin: GitHttpServer
beforeAll(async () => {
  repositories = mkdtempSync(join(tmpdir(), 'cloister-matrix-'))
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', join(repositories, 'origin')])
  origin = await GitHttpServer.start(repositories, { push: true })
  server = await ServerProcess.start({
    env: {
      CLOISTER_SHELL: '1',
      CLOISTER_ALLOW_HOST_NETWORK: '1',
      WORKSPACE_RATE_LIMIT_PER_MINUTE: '0',
      WORKSPACE_RATE_LIMIT_PER_MINUTE_PER_PRINCIPAL: '0',
    },
  })
  const session = await server.session({
    principal: { tenant_id: 'default', actor_id: 'admin', roles: ['developer', 'devops', 'platform_admin'] },
    network: 'host',
    secrets: { API_TOKEN: 'matrix-secret-value' },
    setup: [
      '#!/bin/bash',
      'set -e',
      'git init -q -b main . && git config user.name a && git config user.email a@b',
      'mkdir -p src && echo "export const answer = 42" > src/index.js && echo "int main(void) { return 0; }" > main.c',
      `echo '{"name":"matrix","scripts":{"test":"true"}}' > package.json && echo hello > README.md`,
      'git add . && git commit -qm first',
    ].join('\n'),
  })
  expect(session).toMatchObject({ state: 'idle', state_reason: null })
  id = session.id
  tools = (await server.request('GET', `/v1/sessions/${id}/tools`)).body.tools
})
afterAll(async () => {
  await server?.destroy()
  await origin?.stop()
  rmSync(repositories, { recursive: true, force: true })
})

const wrong: Record<string, unknown> = { string: 7, number: 'seven', integer: 1.5, boolean: 'yes', array: 'list', object: [] }

it('every tool withstands every check', async () => {
  expect(tools.length).toBeGreaterThan(20)
  const failures: string[] = []
  const cells = new Map<string, Partial<Record<Check, string>>>()
  const declared = (tool: ToolMetadata, answer: Answer) => {
    const code = undeclaredError(tool, answer)
    if (code !== null)
      failures.push(`${tool.name}: a call ended with ${code}, which it does not declare: ${describeError(answer)}`)
    return answer
  }
  for (const tool of tools) {
    const row: Partial<Record<Check, string>> = {}
    cells.set(tool.name, row)
    const schema = tool.input_schema as Schema
    const base = tool.examples[0]?.args ?? {}
    // The tool before may have moved or deleted them, as it may: they are links of the workspace.
    const planted = await server.invoke(id, 'shell.exec', { command: PLANT_LINKS }, { approved: true })
    expect(planted.body.invocation).toMatchObject({ status: 'succeeded', exit_code: 0 })
    const call = async (args: Record<string, unknown>, more: Record<string, unknown> = { approved: true }) =>
      declared(tool, await server.invoke(id, tool.name, args, more))
    const expectRefusal = async (
      check: Check,
      args: Record<string, unknown>,
      status: number,
      code: string,
      more?: Record<string, unknown>,
    ) => {
      const answer = await call(args, more)
      const fits = answer.status === status && answer.body.error?.code === code
      if (!fits) failures.push(`${tool.name}: ${check}: ${JSON.stringify(args)}: ${answer.status} ${answer.text.slice(0, 300)}`)
      row[check] = fits && row[check] !== 'FAILED' ? 'refused' : 'FAILED'
    }

    await expectRefusal('unknown field', { ...base, surprise: 1 }, 400, 'invalid_argument')
    for (const name of schema.required ?? []) {
      const { [name]: _, ...rest } = base
      await expectRefusal('missing', rest, 400, 'invalid_argument')
    }
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      if (property.type !== undefined)
        await expectRefusal('wrong types', { ...base, [name]: wrong[property.type] ?? 7 }, 400, 'invalid_argument')
      for (const value of beyond(property)) await expectRefusal('limits', { ...base, [name]: value }, 400, 'invalid_argument')
    }
    for (const { field } of tool.policy.paths) {
      const wrap = (path: string) => ({ ...base, [field]: schema.properties?.[field]?.type === 'array' ? [path] : path })
      for (const path of ['../../etc/passwd', '/etc/passwd', '/session/secrets/API_TOKEN', 'src/../../secrets/API_TOKEN'])
        await expectRefusal('path escape', wrap(path), 403, 'policy_denied')
      for (const path of ['link-file', 'link-directory', 'link-directory/passwd', 'link-secrets/API_TOKEN']) {
        const answer = await call(wrap(path))
        const leaks = /root:[^"]*:0:0|matrix-secret-value|\[secret:API_TOKEN\]/.test(answer.text)
        if (leaks || answer.status >= 500)
          failures.push(`${tool.name}: link escape: ${path}: ${answer.status} ${answer.text.slice(0, 300)}`)
        row['link escape'] = leaks || answer.status >= 500 || row['link escape'] === 'FAILED' ? 'FAILED' : 'no leak'
      }
    }
    for (const field of tool.policy.patches)
      for (const path of ['../../etc/planted', '.git/hooks/pre-commit'])
        await expectRefusal(
          'path escape',
          { ...base, [field]: `--- /dev/null\n+++ b/${path}\n@@ -0,0 +1 @@\n+x\n` },
          403,
          'policy_denied',
        )
    for (const field of tool.policy.patches)
      for (const path of ['link-file', 'link-directory/planted', 'link-secrets/API_TOKEN']) {
        const answer = await call({ ...base, [field]: `--- /dev/null\n+++ b/${path}\n@@ -0,0 +1 @@\n+x\n` })
        const refused = answer.body.invocation?.status !== 'succeeded' && answer.status < 500
        if (!refused) failures.push(`${tool.name}: link escape: ${path}: ${answer.status} ${answer.text.slice(0, 300)}`)
        row['link escape'] = refused && row['link escape'] !== 'FAILED' ? 'refused' : 'FAILED'
      }
    const hostile = [
      ...tool.policy.refs.map((field) => [field, ...HOSTILE_REFS] as const),
      ...tool.policy.remotes.map((field) => [field, 'https://example.org/x.git', '--upload-pack=touch stolen', '../x'] as const),
      ...tool.policy.refspecs.map(({ field }) => [field, '--exec=touch stolen', 'a:b:c', 'x'.repeat(600)] as const),
    ]
    for (const [field, ...values] of hostile)
      for (const ref of values) {
        const answer = await call({ ...base, [field]: ref })
        const refused = [400, 403].includes(answer.status)
        if (!refused) failures.push(`${tool.name}: refs: ${ref}: ${answer.status} ${answer.text.slice(0, 300)}`)
        row.refs = refused && row.refs !== 'FAILED' ? 'refused' : 'FAILED'
      }
    if (tool.requires_approval) await expectRefusal('approval', base, 428, 'approval_required', {})
    const example = describe(await call(base))
    if (example.startsWith('5')) failures.push(`${tool.name}: its example: ${example}`)
    const cases = TOOL_CASES[tool.name]
    if (!cases) {
      failures.push(`${tool.name}: it has no cases in test/support/tool-cases.ts`)
      continue
    }
    const produced = new Set<string | null>()
    const expectOutcome = async (check: 'success' | 'errors', expected: string, one: Case) => {
      let answer = declared(tool, await run(tool.name, one))
      for (let tries = 1; tries < (one.tries ?? 1) && errorOfTool(answer) !== expected; tries++)
        answer = declared(tool, await run(tool.name, { ...one, before: [] }))
      produced.add(errorOfTool(answer))
      const outcome = answer.body?.error?.code ?? answer.body?.invocation?.error?.code ?? answer.body?.invocation?.status
      const fits = outcome === expected && answer.status < 500
      if (!fits)
        failures.push(
          `${tool.name}: ${check}: ${JSON.stringify(one).slice(0, 200)}: wanted ${expected}, got ${answer.status} ${outcome} ${describeError(answer)}`,
        )
      return fits
    }
    row.success = (await expectOutcome('success', 'succeeded', cases.succeeds)) ? 'succeeded' : 'FAILED'
    for (const [code, ...calls] of cases.fails)
      for (const one of calls) if (!(await expectOutcome('errors', code, one))) row.errors = 'FAILED'
    if (row.errors === undefined && cases.fails.some(([code]) => code === 'approval_required')) row.approval = 'refused'
    const without = Object.keys(cases.without_case ?? {})
    for (const code of without)
      if (!(tool.errors as string[]).includes(code)) failures.push(`${tool.name}: ${code} needs no case, and is not declared`)
    const shown = tool.errors.filter((code) => produced.has(code))
    for (const code of tool.errors)
      if (!shown.includes(code) && !without.includes(code))
        failures.push(`${tool.name}: no case ended with ${code}, which it declares`)
    row.errors ??= tool.errors.length > 0 ? `${shown.length} of ${tool.errors.length}` : 'none declared'
  }

  const width = Math.max(...tools.map((tool) => tool.name.length)) + 2
  const lines = [`${'tool'.padEnd(width)}${CHECKS.map((check) => check.padEnd(15)).join('')}`]
  for (const [name, row] of cells)
    lines.push(`${name.padEnd(width)}${CHECKS.map((check) => (row[check] ?? '').padEnd(15)).join('')}`)
  process.stdout.write(`\n${lines.join('\n')}\n\n`)
  for (const tool of tools)
    for (const check of CHECKS)
      if ((cells.get(tool.name)?.[check] ?? '') === '' && isMeaningful(check, tool))
        failures.push(`${tool.name}: ${check}: nothing was checked`)
  expect(failures).toEqual([])
  expect(readFileSync(join(server.home, 'volumes', id, 'secrets', 'API_TOKEN'), 'utf8')).toBe('matrix-secret-value')
  expect(existsSync(join(server.home, 'volumes', id, 'volume/code/stolen'))).toBe(false)
  expect(existsSync('/etc/planted')).toBe(false)
  expect(server.output).not.toContain('does not declare')
}, 600_000)

it('every tool has tests of its own that run it', () => {
  const missing = tools
    .map((tool) => tool.name)
    .filter((name) => {
      const family = name.slice(0, name.indexOf('.'))
      const module = `/${name.slice(family.length + 1)}.ts'`
      return !readdirSync(join(TOOLS_FOLDER, family), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.test.ts'))
        .some((file) => readFileSync(join(TOOLS_FOLDER, family, file), 'utf8').includes(module))
    })
  expect(missing).toEqual([])
})

/** An empty cell is right only where the tool's metadata leaves nothing to check. */
function isMeaningful(check: Check, { input_schema, policy, requires_approval }: ToolMetadata): boolean {
  const { properties = {}, required = [] } = input_schema as Schema
  const fields = Object.values(properties)
  if (check === 'missing') return required.length > 0
  if (check === 'wrong types') return fields.some(({ type }) => type !== undefined)
  if (check === 'limits') return fields.some((field) => beyond(field).length > 0)
  if (check === 'path escape' || check === 'link escape') return policy.paths.length > 0 || policy.patches.length > 0
  if (check === 'refs') return policy.refs.length + policy.remotes.length + policy.refspecs.length > 0
  if (check === 'approval') return requires_approval || 'overwrite' in properties
  return true
}

const sessions = new Map<string, Promise<string>>()

/** One session for each workspace, made when it is first used. */
function sessionAt(at: keyof typeof WORKSPACES): Promise<string> {
  const made = sessions.get(at) ?? makeSession(at)
  sessions.set(at, made)
  return made
}

async function makeSession(at: keyof typeof WORKSPACES): Promise<string> {
  const { files, git, remote }: Workspace = WORKSPACES[at]
  const lines = Object.entries(files).map(
    ([name, content]) =>
      `mkdir -p "$(dirname '${name}')" && echo ${Buffer.from(content).toString('base64')} | base64 -d > '${name}'`,
  )
  const repository = [
    'git init -q -b main . && git config user.name a && git config user.email a@b && git add . && git commit -qm first',
    ...(remote === undefined ? [] : [`git remote add origin ${origin.origin}/origin && git push -q origin main:${remote}`]),
  ]
  const session = await server.session({
    principal: { tenant_id: 'default', actor_id: 'admin', roles: ['developer', 'devops', 'platform_admin'] },
    network: remote === undefined ? 'none' : 'host',
    setup: ['#!/bin/bash', 'set -e', ...lines, ...(git ? repository : [])].join('\n'),
  })
  if (session.state !== 'idle') throw new Error(`the session ${at} is ${session.state}: ${session.state_reason}`)
  return session.id
}

async function run(tool: string, { args, at = 'main', before = [], unapproved }: Case): Promise<Answer> {
  const session = await sessionAt(at)
  let output: Record<string, unknown> = {}
  for (const call of before) {
    const answer = await server.invoke(session, call.tool, call.args, { approved: true })
    const { status, exit_code } = answer.body?.invocation ?? {}
    if (status !== 'succeeded' || exit_code > 0) throw new Error(`before ${tool}: ${call.tool}: ${answer.text}`)
    output = answer.body.invocation.output
  }
  const filled = Object.entries(args).map(([name, value]) => [
    name,
    typeof value === 'string' && value.startsWith('$') ? output[value.slice(1)] : value,
  ])
  return server.invoke(session, tool, Object.fromEntries(filled), unapproved ? {} : { approved: true })
}

/** Values just beyond what the schema takes. */
function beyond(schema: Schema): unknown[] {
  return [
    ...(schema.maximum !== undefined && schema.maximum < Number.MAX_SAFE_INTEGER ? [schema.maximum + 1] : []),
    ...(schema.minimum !== undefined && schema.minimum > Number.MIN_SAFE_INTEGER ? [schema.minimum - 1] : []),
    ...(schema.maxLength !== undefined && schema.maxLength < 1_500_000 ? ['x'.repeat(schema.maxLength + 1)] : []),
    ...(schema.maxItems !== undefined ? [Array.from({ length: schema.maxItems + 1 }, () => 'x')] : []),
  ]
}

function describeError({ body, text }: Answer): string {
  return body?.error?.message ?? body?.invocation?.error?.message ?? text.slice(0, 300)
}

function describe(answer: Answer): string {
  if (answer.status !== 200) return `${answer.status} ${answer.body?.error?.code ?? ''}`
  const { status, error } = answer.body.invocation
  return error ? error.code : status
}
