import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import { makeRedactor } from '../../domain/redaction.ts'
import scan from './scan_secrets.ts'
import { redactedSnippet } from './secret-rules.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

// Put together here, so that scanners of this repository find nothing.
const AWS = `AKIA${'IOSFODNN7EXAMPL1'}`
const TOKEN = `ghp${'_'}16C7e42F292c6912E7710c838347Ae178B4a`
const KEY = `-----BEGIN RSA ${'PRIVATE'} KEY-----`

const find = async (args: object = {}, options = {}) => (await workspace.call(scan, { ...args }, options)).output

describe('security.scan_secrets', () => {
  it('finds each kind, says where, and shows none of them', async () => {
    await workspace.plant({
      'src/config.py': `import os\nAWS = "${AWS}"\napi_key = '${TOKEN}'\nsafe = os.environ["TOKEN"]\n`,
      'deploy/id_rsa': `${KEY}\nMIIEpAIBAAKCAQEA75\n`,
      '.env': `DB_PASSWORD=${TOKEN}\n`,
      '.gitignore': '.env\n',
      'README.md': 'The token is secret.\n',
    })
    const output = await find()
    const places = (output['findings'] as { path: string; line: number; rule: string }[]).map(({ path, line, rule }) => [
      path,
      line,
      rule,
    ])
    expect(places).toEqual([
      ['.env', 1, 'assigned_secret'],
      ['deploy/id_rsa', 1, 'private_key'],
      ['src/config.py', 2, 'aws_access_key'],
      ['src/config.py', 3, 'assigned_secret'],
    ])
    expect(output).toMatchObject({
      findings_count: 4,
      truncated: false,
      output: expect.stringContaining('src/config.py:2: aws_access_key: AWS = "AKIA[16 '),
    })
    for (const secret of [AWS, TOKEN, TOKEN.slice(4, 20)]) {
      expect(JSON.stringify(output)).not.toContain(secret)
      expect(workspace.output.join('') + workspace.log.join('')).not.toContain(secret)
    }
  })

  it('looks at a file, at a part, and at nothing outside of what is allowed', async () => {
    await workspace.plant({ 'a/x.env': `TOKEN=${TOKEN}\n`, 'b/x.env': `TOKEN=${TOKEN}\n` })
    expect(await find({ path: 'a' })).toMatchObject({ findings_count: 1, findings: [{ path: 'a/x.env' }] })
    expect(await find({ path: 'b/x.env' })).toMatchObject({ findings_count: 1 })
    expect(await find({ path: 'a' }, { allowed_paths: ['a'] })).toMatchObject({ findings_count: 1 })
    expect(await workspace.failure(scan, { path: 'b' }, { allowed_paths: ['a'] })).toMatchObject({ code: 'policy_denied' })
    symlinkSync('b', join(workspace.code, 'link'))
    expect(await workspace.failure(scan, { path: 'link' })).toMatchObject({ code: 'invalid_argument' })
    expect(await find()).toMatchObject({ findings_count: 2 })
  })

  it('keeps to max_results, and says that there is more', async () => {
    await workspace.plant(
      Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`f${n}.env`, `TOKEN=${TOKEN}\nKEY=1\nSECRET=${TOKEN}\n`])),
    )
    expect(await find({ max_results: 7 })).toMatchObject({ findings_count: 7, truncated: true })
    expect(await find({ max_results: 40 })).toMatchObject({ findings_count: 40, truncated: false })
  })

  it('finds nothing where nothing is, and does not stumble over binary files and long lines', async () => {
    await workspace.plant({
      'a.bin': Buffer.concat([Buffer.alloc(100), Buffer.from(AWS)]),
      'min.js': `${'x'.repeat(100_000)};token="${TOKEN}"`,
    })
    const output = await find()
    expect(JSON.stringify(output)).not.toContain(TOKEN)
    expect((output['findings'] as { path: string }[]).map(({ path }) => path)).toEqual(['min.js'])
    await workspace.clear()
    expect(await find()).toMatchObject({ findings_count: 0, findings: [], output: '' })
  })

  it("still finds the session's own secret, and does not show it", async () => {
    await workspace.plant({ '.env': `token = "${SECRET.value}"` })
    const { findings } = (await find()) as { findings: { snippet: string }[] }
    expect(findings).toMatchObject([{ line: 1, rule: 'assigned_secret' }])
    expect(findings[0]?.snippet).not.toContain(SECRET.value)
  })

  itWithstandsAttacks(() => workspace, {
    tool: scan,
    project: {},
    path: 'path',
    partial: true,
    linksRefused: true,
    refused: [{ path: 1 }, { path: '' }, { max_results: 0 }, { max_results: 2001 }, { max_results: '5' }],
  })
})

describe('redactedSnippet', () => {
  it('is cut from the line as it may be shown', () => {
    const { text } = makeRedactor({ K: 'HUN 4711' })
    for (let length = 120; length < 150; length++) {
      const line = `token = "0123456789" ${'.'.repeat(length)}HUN 4711${'.'.repeat(100)}`
      const { snippet } = redactedSnippet(line, text(line)) as { snippet: string }
      expect(snippet).toMatch(/^token = "\[10 characters hidden\]" \.+(\[[secret:K\]]*\.*)?$/)
      expect(snippet).toHaveLength(160)
    }
  })

  it.each([
    [`aws = ${AWS}`, 'aws_access_key', 'aws = AKIA[16 characters hidden]'],
    [`${KEY}MIIEpAIBAAKCAQEA75`, 'private_key', KEY],
    [`"clientSecret": "${TOKEN}", "x": 1`, 'assigned_secret', '"clientSecret": "[40 characters hidden]", "x": 1'],
    ['password = "longfirst second word" # x', 'assigned_secret', 'password = "[21 characters hidden]" # x'],
    ['password = "longpass!word2" # x', 'assigned_secret', 'password = "[14 characters hidden]" # x'],
    [
      `token = process.env.X, secret = ${TOKEN}`,
      'assigned_secret',
      'token = [14 characters hidden] secret = [40 characters hidden]',
    ],
    [`password := "hunter2hunter2"`, 'assigned_secret', 'password := "[14 characters hidden]"'],
    [
      `TOKEN=${TOKEN} OTHER=${'q1w2e3r4t5'.repeat(3)}`,
      'assigned_secret',
      'TOKEN=[40 characters hidden] OTHER=[30 characters hidden]',
    ],
    [`a=${AWS} secret=${TOKEN}`, 'aws_access_key', 'a=AKIA[16 characters hidden] secret=[40 characters hidden]'],
  ])('%j', (line, rule, snippet) => {
    expect(redactedSnippet(line)).toEqual({ rule, snippet })
  })

  it.each([
    'token',
    'token = x',
    'the secret: it is short',
    'token = process.env.API_TOKEN',
    'password: changeme-please',
    'api_key=your_api_key_here',
    '-----BEGIN PUBLIC KEY-----',
  ])('says nothing of %j', (line) => {
    expect(redactedSnippet(line)).toBeNull()
  })
})
