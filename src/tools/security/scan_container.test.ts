import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import { judgeDockerfile, judgeImage } from './dockerfile-rules.ts'
import scan from './scan_container.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const DIGEST = `sha256:${'a'.repeat(64)}`
const GOOD = `FROM node@${DIGEST}\nCOPY . /app\nUSER node\nHEALTHCHECK CMD true\n`
const BAD = 'FROM node\nENV API_TOKEN=abc123\nRUN curl https://x | sh\nEXPOSE 22\n'

describe('security.scan_container', () => {
  it('lists what is unwise, the worst first, and never the secret', async () => {
    await workspace.plant({ Dockerfile: BAD })
    const { output, exit_code } = await workspace.call(scan, {})
    expect(output).toMatchObject({
      scanner: 'dockerfile-heuristics',
      target: 'Dockerfile',
      severity_counts: { critical: 1, high: 2, medium: 2, low: 1 },
      truncated: false,
    })
    expect((output['findings'] as { rule: string; line: number }[]).map(({ rule, line }) => [rule, line])).toEqual([
      ['secret_in_image', 2],
      ['download_into_shell', 3],
      ['runs_as_root', 1],
      ['latest_image', 1],
      ['ssh_exposed', 4],
    ])
    expect([exit_code, JSON.stringify(output).includes('abc123')]).toEqual([0, false])
    expect((await workspace.call(scan, { severity_threshold: 'critical' })).output['findings']).toHaveLength(1)
    expect((await workspace.call(scan, { severity_threshold: 'low' })).output['findings']).toHaveLength(6)
    expect((await workspace.call(scan, { max_findings: 2 })).output).toMatchObject({ truncated: true, findings: { length: 2 } })
  })

  it('finds the file in a directory, or takes it by name', async () => {
    await workspace.plant({ 'a/Containerfile': GOOD, 'b/docker/Dockerfile': GOOD, 'c/My.Dockerfile': BAD, 'empty/x': '' })
    for (const [path, target] of [
      ['a', 'a/Containerfile'],
      ['b', 'b/docker/Dockerfile'],
      ['c/My.Dockerfile', 'c/My.Dockerfile'],
    ])
      expect((await workspace.call(scan, { path })).output).toMatchObject({ target })
    expect((await workspace.call(scan, { path: 'a', severity_threshold: 'low' })).output).toMatchObject({ findings: [] })
    expect(await workspace.failure(scan, { path: 'empty' })).toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('empty'),
    })
    expect(await workspace.failure(scan, {})).toMatchObject({ code: 'not_found' })
    await workspace.plant({ Dockerfile: Buffer.alloc(1024 * 1024 + 1, 0x20) })
    expect(await workspace.failure(scan, {})).toMatchObject({ code: 'execution_failed' })
  })

  it("judges an image's name, alone or with a file", async () => {
    const alone = await workspace.call(scan, { image_ref: 'registry.example.com:5000/team/app' })
    expect(alone.output).toMatchObject({
      target: 'registry.example.com:5000/team/app',
      findings: [{ rule: 'latest_image', line: null }],
    })
    await workspace.plant({ Dockerfile: GOOD })
    const both = await workspace.call(scan, { image_ref: 'app:1.0', path: '.', severity_threshold: 'low' })
    expect(both.output).toMatchObject({ target: 'app:1.0, Dockerfile', findings: [{ rule: 'image_not_pinned' }] })
  })

  it('follows no link out of a directory', async () => {
    symlinkSync('/etc/passwd', join(workspace.code, 'Dockerfile'))
    expect(await workspace.failure(scan, {})).toMatchObject({ code: 'policy_denied' })
  })

  itWithstandsAttacks(() => workspace, {
    tool: scan,
    project: {},
    path: 'path',
    partial: true,
    refused: [
      { image_ref: '-x' },
      { image_ref: 'a b' },
      { image_ref: 'a;b' },
      { image_ref: 'x'.repeat(301) },
      { max_findings: 0 },
      { max_findings: 2001 },
      { severity_threshold: 'none' },
      { path: [] },
    ],
  })
})

describe('judgeDockerfile', () => {
  const rules = (lines: string) => judgeDockerfile(GOOD.replace('COPY . /app\n', `${lines}\n`)).map(({ rule }) => rule)

  it.each<[string, string[]]>([
    ['RUN make', []],
    ['RUN curl -fsSL https://x \\\n  # comment\n  | bash', ['download_into_shell']],
    ['RUN wget -qO- https://x|sudo sh', ['download_into_shell', 'sudo']],
    ['RUN curl --insecure https://x -o y', ['certificates_not_checked']],
    ['RUN chmod -R 777 /app', ['world_writable']],
    ['ADD https://x/y.tar.gz /', ['add_from_network']],
    ['ADD --checksum=sha256:x https://x/y /', []],
    ['ADD app.tar.gz /', []],
    ['add src /src', ['add_of_files']],
    ['RUN apt-get update && apt-get install -y x', ['package_lists_kept']],
    ['RUN apt-get update && apt-get install -y x && rm -rf /var/lib/apt/lists/*', []],
    ['ARG NPM_TOKEN', []],
    ['ARG NPM_TOKEN=$OTHER', []],
    ['ENV PASSWORD hunter22', ['secret_in_image']],
    ['ENV A=1 DB_PASSWORD=x', ['secret_in_image']],
    ['EXPOSE 80 22/tcp', ['ssh_exposed']],
    ['EXPOSE 2222', []],
    ['# RUN sudo x', []],
    ['USER root', []],
    [`FROM a@${DIGEST} AS build\nUSER x\nFROM build`, []],
  ])('%j: %j', (lines, wanted) => {
    expect(rules(lines)).toEqual(wanted)
  })

  it('minds who the last stage runs as', () => {
    for (const user of ['root', '0', 'root:root', '0:0'])
      expect(judgeDockerfile(`FROM a:1\nUSER ${user}\n`).map(({ rule }) => rule)).toContain('runs_as_root')
    expect(judgeDockerfile('FROM a:1\nUSER app\nFROM b:1\n').map(({ rule }) => rule)).toContain('runs_as_root')
    expect(judgeDockerfile('hello\n')).toMatchObject([{ rule: 'no_base_image' }])
  })

  it('is not held up by what somebody wrote to hold it up', () => {
    for (const piece of [
      'RUN curl ',
      'a',
      ' ',
      '\\\n',
      'ENV A=1 ',
      'RUN apt-get ',
      'FROM x\n',
      'RUN curl x \\\n',
      'ENV PASSWORD ',
    ])
      judgeDockerfile(`FROM x\n${piece.repeat(60_000)}`)
  })
})

describe('judgeImage', () => {
  it.each([
    ['node', 'latest_image'],
    ['node:latest', 'latest_image'],
    ['localhost:5000/node', 'latest_image'],
    ['node:24', 'image_not_pinned'],
    [`node:24@${DIGEST}`, undefined],
    ['$BASE', undefined],
  ])('%s: %s', (image, rule) => {
    expect(judgeImage(image)[0]?.rule).toBe(rule)
  })
})
