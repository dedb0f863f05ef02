// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell scripts have their own placeholders
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

/** A secret's value is searched in every byte that the server sent, stored or printed while everything tried to leak it. */

const SECRET = 'vErY-s3cret+va"l\\ue/42 <é>&=='
const json = (text: string) => JSON.stringify(text).slice(1, -1)
const ascii = (text: string, sign: RegExp) =>
  text.replace(sign, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
/** What programs make of the value: each of these differs from all others, and none is the value itself. */
const FORMS = {
  plain: SECRET,
  json: json(SECRET),
  'json of Python': ascii(json(SECRET), /é/g),
  'json of Go': ascii(json(SECRET), /[<>&]/g),
  'json of PHP': ascii(json(SECRET).replaceAll('/', '\\/'), /é/g),
  url: encodeURIComponent(SECRET),
  'lower-case url': encodeURIComponent(SECRET).replace(/%../g, (hex) => hex.toLowerCase()),
  encodeURI: encodeURI(SECRET),
  'quote of Python': encodeURIComponent(SECRET).replaceAll('%2F', '/'),
  form: new URLSearchParams({ x: SECRET }).toString().slice(2),
  html: SECRET.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
  base64: Buffer.from(SECRET).toString('base64'),
}
/** In answers and rows of the database a form stands in JSON, or in JSON in JSON; in files, as UTF-8 read byte by byte. */
const SEARCHED = Object.entries(FORMS).flatMap(([name, form]) =>
  [form, json(form), json(json(form))].flatMap((text) => [text, bytesOf(text)].map((needle) => [name, needle] as const)),
)

function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1')
}

let server: ServerProcess
const sent: string[] = []
beforeAll(async () => {
  server = await ServerProcess.start({ env: { LOG_LEVEL: 'debug', CLOISTER_SHELL: '1' } })
})
afterAll(() => server.destroy())

/** Requests whose answers are kept for the search. */
const ask: ServerProcess['request'] = async (...request) => {
  const answer = await server.request(...request)
  sent.push(answer.text, JSON.stringify([...answer.headers]))
  return answer
}

it('a secret leaves nowhere', async () => {
  expect(new Set(Object.values(FORMS)).size).toBe(Object.keys(FORMS).length)
  const made = await ask('POST', '/v1/sessions', {
    body: {
      secrets: { API_TOKEN: SECRET },
      instructions: 'be careful',
      setup: [
        '#!/bin/bash',
        'echo "plain $API_TOKEN"; echo "error $API_TOKEN" >&2',
        'printf %s "$API_TOKEN" | base64 -w0; echo',
        'for ((i = 0; i < ${#API_TOKEN}; i++)); do printf %s "${API_TOKEN:$i:1}"; sleep 0.01; done; echo',
        'printf %s "$API_TOKEN" > leaked.txt; mkdir -p "dir-${API_TOKEN//\\//_}"',
        `printf '%s' '{"name":"x","scripts":{"test":"echo $API_TOKEN; cat leaked.txt; exit 1","build":"echo error: $API_TOKEN >&2; exit 1"}}' > package.json`,
        // A name that holds it; files that are binary, the secret at each place that base64 can give it; a file with all forms; a build whose last words are the secret.
        `touch ${JSON.stringify(`url-${encodeURIComponent(SECRET)}.js`)}`,
        `printf '%s\\n' ${Object.values(FORMS)
          .map((form) => `'${form}'`)
          .join(' ')} > forms.txt; head -c 70000 /dev/zero | tr '\\0' x > split.txt; printf '%s' "$API_TOKEN" >> split.txt`,
        'for n in 0 1 2; do { head -c $((n + 3)) /dev/zero; printf %s "$API_TOKEN"; head -c 4 /dev/zero; } > "binary$n"; done',
        `git init -q . && git remote add quoted 'https://user:${FORMS['quote of Python']}@example.org/x.git'`,
        'git remote add origin "https://user:${API_TOKEN}@example.org/x.git"; git add . ; echo more >> leaked.txt',
      ].join('\n'),
    },
  })
  expect(made.status).toBe(201)
  const { id } = await server.waitForState(made.body.session.id, (state) => state !== 'initializing')
  const invoke = (tool: string, args: Record<string, unknown>, more = {}) =>
    ask('POST', `/v1/sessions/${id}/tools/${tool}/invoke`, { body: { args, ...more } })

  const read = await invoke('fs.read', { path: 'leaked.txt' })
  expect(read.body.invocation.output.content).toContain('[secret:API_TOKEN]')
  const forms = await invoke('fs.read', { path: 'forms.txt' })
  expect(forms.body.invocation.output.content.trimEnd().split('\n')).toEqual(Object.keys(FORMS).map(() => '[secret:API_TOKEN]'))
  const remotes = await invoke('shell.exec', { command: 'git remote -v; cat forms.txt; env' }, { approved: true })
  expect(remotes.body.invocation.output.stdout).toContain('quoted\thttps://user:[secret:API_TOKEN]@example.org/x.git')
  await invoke('fs.read', { path: 'no-such-file' })
  await invoke('fs.list', { recursive: true })
  await invoke('fs.search', { pattern: 'v', path: '.' })
  const listed = await invoke('fs.glob', { pattern: '**' })
  expect(listed.text).toContain('url-[secret:API_TOKEN].js')
  await invoke('repo.tree', {})
  await invoke('fs.read', { path: 'split.txt', max_bytes: 80_000 })
  await invoke('repo.find_references', { symbol: 'vErY' })
  await invoke('security.scan_secrets', {})
  const built = await invoke('repo.build', {})
  expect(built.body.invocation.error.message).toContain('[secret:API_TOKEN]')
  for (const path of ['forms.txt', 'split.txt', 'leaked.txt', '.git/config']) {
    const { invocation } = (await invoke('artifact.upload', { path })).body
    expect([path, invocation.status]).toEqual([path, 'succeeded'])
    await invoke('artifact.download', { artifact_id: invocation.artifacts[0].id, encoding: 'utf8' })
    await invoke('artifact.download', { artifact_id: invocation.artifacts[0].id })
  }
  for (const path of ['binary0', 'binary1', 'binary2']) {
    const { output } = (await invoke('fs.read', { path })).body.invocation
    expect(output.encoding).toBe('base64')
    expect(Buffer.from(output.content, 'base64').toString('latin1')).not.toContain(bytesOf(SECRET))
    const download = (await invoke('artifact.download', { path })).body.invocation.output
    expect(Buffer.from(download.content_base64, 'base64').toString('latin1')).not.toContain(bytesOf(SECRET))
    expect((await ask('GET', `/v1/sessions/${id}/files?path=${path}`)).text).not.toContain(SECRET)
  }
  for (const tool of ['git.fetch', 'git.push', 'git.pull']) await invoke(tool, {}, { approved: true })
  await invoke('git.commit', { message: 'x', all: true }, { approved: true })
  await invoke('git.show', {})
  await invoke('git.log', {})
  await invoke('git.diff', {})
  await invoke('git.status', {})
  await invoke('fs.read', { path: '.git/config' })
  const tests = await invoke('repo.run_tests', {})
  expect(tests.body.invocation.artifacts.length).toBeGreaterThan(0)
  for (const args of [
    { path: 'x', content: SECRET },
    { path: SECRET, content: 'x' },
    { path: 'x', content: 'a [secret:API_TOKEN] b' },
  ]) {
    const refused = await invoke('fs.write', args, { approved: true })
    expect([refused.status, refused.body.error.code]).toEqual([400, 'invalid_argument'])
  }
  await invoke('fs.read', { path: 'x', [SECRET]: 1 })
  const named = [{ name: SECRET }, { metadata: { note: FORMS.encodeURI } }, { metadata: { [SECRET]: 'x' } }]
  for (const fields of named) {
    const refusals = [
      await ask('POST', '/v1/sessions', { body: { secrets: { API_TOKEN: SECRET }, ...fields } }),
      await ask('PATCH', `/v1/sessions/${id}`, { body: fields }),
    ]
    for (const refused of refusals) {
      expect([refused.status, refused.body.error.code]).toEqual([400, 'invalid_argument'])
      expect(refused.body.error.details.issues[0].path).toBe(Object.keys(fields)[0])
    }
  }
  await ask('POST', `/v1/sessions/${id}/messages`, { body: { content: `my token is ${SECRET}` } })
  await server.waitForState(id, (state) => state === 'idle')

  await ask('GET', `/v1/sessions/${id}`)
  await ask('GET', '/v1/sessions')
  await ask('GET', `/v1/sessions/${id}/messages`)
  await ask('GET', `/v1/sessions/${id}/events?limit=200`)
  await ask('GET', `/v1/sessions/${id}/files?path=leaked.txt`)
  const invocations = await ask('GET', `/v1/sessions/${id}/invocations?limit=200`)
  for (const invocation of invocations.body.invocations) {
    await ask('GET', `/v1/invocations/${invocation.id}`)
    await ask('GET', `/v1/invocations/${invocation.id}/logs`)
    const artifacts = await ask('GET', `/v1/invocations/${invocation.id}/artifacts`)
    for (const artifact of artifacts.body.artifacts) await ask('GET', `/v1/invocations/${invocation.id}/artifacts/${artifact.id}`)
  }
  await ask('GET', '/metrics')

  const places: [string, string][] = [
    ['answers', sent.join('\n')],
    ['the server log', server.output],
    ['the database', server.databaseBytes.toString('latin1')],
    ['process lists', execFileSync('ps', ['axww', '-o', 'args']).toString()],
    ...filesUnder(join(server.home, 'artifacts')),
    ...filesUnder(join(server.home, 'run')),
  ]
  expect(places.length).toBeGreaterThan(6)
  for (const [place, text] of places)
    for (const [form, needle] of SEARCHED) expect(text.includes(needle), `${form} form in ${place}`).toBe(false)

  // It is where it belongs, and the search would have found it.
  const kept = filesUnder(join(server.home, 'volumes', id, 'secrets'))
  expect(kept).toEqual([[expect.stringContaining('API_TOKEN'), bytesOf(SECRET)]])
  expect(statSync(join(server.home, 'volumes', id, 'secrets', 'API_TOKEN')).mode & 0o777).toBe(0o400)
})

function filesUnder(directory: string): [string, string][] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => [join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name), 'latin1')])
}
