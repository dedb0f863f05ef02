import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Gate, SECRET } from '../../../test/support/gate.ts'
import { loadCatalog } from '../../catalog/load-catalog.ts'
import { offeredTools } from '../../catalog/offered-tools.ts'
import { CloisterError } from '../../domain/errors.ts'
import type { Session } from '../../domain/session.ts'

/** What tools reach only through the gate: artifacts, the catalog, background processes, settings. */

const catalog = await loadCatalog()
let gate: Gate
let shellGate: Gate
beforeAll(async () => {
  gate = await Gate.open({ dependencies: { catalog: offeredTools(catalog, { CLOISTER_SHELL: false }) } })
  shellGate = await Gate.open({ dependencies: { catalog: offeredTools(catalog, { CLOISTER_SHELL: true }) } })
})
afterAll(async () => {
  await gate?.close()
  await shellGate?.close()
})

const approved = { approved: true }
const output = async (at: Gate, session: Session, tool: string, args: object, rest = {}) => {
  const { status, output: found, error } = await at.invoke(session, tool, args, rest)
  expect([tool, status, error]).toEqual([tool, 'succeeded', null])
  return found as Record<string, never>
}

/** The refusal of a call: its code, and the rule that denied it. */
const refusal = async (...[at, ...call]: [Gate, ...Parameters<Gate['invoke']>]) => {
  const error: unknown = await at.invoke(...call).catch((thrown: unknown) => thrown)
  if (!(error instanceof CloisterError)) throw new Error(`not refused: ${JSON.stringify(error)}`)
  return { code: error.code, rule: error.details['rule'] }
}

describe('artifacts', () => {
  it('are stored without secrets, listed and read by the session that they belong to, and by no other', async () => {
    const [session, other] = [await gate.session(), await gate.session()]
    await output(gate, session, 'fs.write', { path: 'out/report.txt', content: 'all is well\n' }, approved)
    const uploaded = await gate.invoke(session, 'artifact.upload', { path: 'out/report.txt', content_type: 'text/plain' })
    const [artifact] = uploaded.artifacts
    expect(artifact).toMatchObject({ name: 'report.txt', content_type: 'text/plain', size_bytes: 12 })
    const id = artifact?.id ?? ''
    expect(await output(gate, session, 'artifact.list', { stored: true })).toMatchObject({
      count: 1,
      artifacts: [{ artifact_id: id, path: 'report.txt', stored: true }],
    })
    expect(await output(gate, session, 'artifact.download', { artifact_id: id, encoding: 'utf8' })).toMatchObject({
      content: 'all is well\n',
      truncated: false,
    })
    expect(await output(gate, other, 'artifact.list', { stored: true })).toMatchObject({ count: 0 })
    const stolen = await gate.invoke(other, 'artifact.download', { artifact_id: id })
    expect([stolen.status, stolen.error?.code]).toEqual(['failed', 'not_found'])
  })

  it('hold no secret that a file held', async () => {
    const session = await shellGate.session()
    await output(shellGate, session, 'shell.exec', { command: 'echo "a $TOKEN b" > leak.txt' }, approved)
    const [artifact] = (await shellGate.invoke(session, 'artifact.upload', { path: 'leak.txt' })).artifacts
    const read = await output(shellGate, session, 'artifact.download', { artifact_id: artifact?.id ?? '', encoding: 'utf8' })
    expect(read).toMatchObject({ content: 'a [secret:TOKEN] b\n' })
    expect(shellGate.bytesOnDisk()).not.toContain(SECRET)
  })
})

describe('what a setting switches on', () => {
  it('does not exist where it is off, whoever asks', async () => {
    const session = await gate.session()
    expect((await refusal(gate, session, 'shell.exec', { command: 'id' }, approved)).code).toBe('not_found')
    expect(await output(gate, session, 'policy.check', { tool_name: 'shell.exec', args: { command: 'id' } })).toMatchObject({
      allowed: false,
    })
    const { suggestions } = await output(gate, session, 'tool.suggest', { task: 'execute a bash command line', top_k: 20 })
    expect((suggestions as unknown as { name: string }[]).map(({ name }) => name)).not.toContain('shell.exec')
  })

  it('needs a person where it is on', async () => {
    const session = await shellGate.session()
    expect((await refusal(shellGate, session, 'shell.exec', { command: 'id' })).code).toBe('approval_required')
    expect(await output(shellGate, session, 'shell.exec', { command: 'exit 7' }, approved)).toMatchObject({ exit_code: 7 })
  })
})

describe('background processes', () => {
  it('belong to their session, and what they print is redacted', async () => {
    const [session, other] = [await shellGate.session(), await shellGate.session()]
    const command = 'echo "token $TOKEN"; sleep 60'
    const started = await output(shellGate, session, 'shell.exec', { command, background: true }, approved)
    const process_id = started['process_id']
    const deadline = Date.now() + 20_000
    let text = ''
    while (text === '' && Date.now() < deadline)
      text = (await output(shellGate, session, 'process.output', { process_id }))['text'] ?? ''
    expect(text).toBe('token [secret:TOKEN]\n')
    expect(await output(shellGate, other, 'process.list', {})).toEqual({ processes: [] })
    const foreign = await shellGate.invoke(other, 'process.stop', { process_id })
    expect([foreign.status, foreign.error?.code]).toEqual(['failed', 'not_found'])
    expect(await output(shellGate, session, 'process.stop', { process_id })).toEqual({ stopped: true })
  })
})

describe('git over the network', () => {
  const admin = { tenant_id: 'default', actor_id: 'alice', roles: ['developer', 'platform_admin'] }

  it('is not there for sessions without network', async () => {
    const session = await gate.session({ principal: admin })
    for (const tool of ['git.push', 'git.fetch', 'git.pull'])
      expect((await refusal(gate, session, tool, {}, approved)).code, tool).toBe('not_found')
  })

  it('keeps to the remotes and refs of the session, before anything runs', async () => {
    const metadata = { allowed_git_remotes: 'origin', allowed_git_ref_prefixes: 'refs/heads/agent/' }
    const session = await gate.session({ principal: admin, network: 'host', metadata })
    for (const [tool, args] of [
      ['git.push', {}],
      ['git.push', { refspec: 'main' }],
      ['git.push', { refspec: 'agent/x:main' }],
      ['git.push', { remote: 'other', refspec: 'agent/x' }],
      ['git.fetch', { remote: 'https://evil.example/x', refspec: 'agent/x' }],
      ['git.pull', { refspec: 'main' }],
    ] as const) {
      const refused = await refusal(gate, session, tool, args, approved)
      expect(refused, JSON.stringify(args)).toEqual({ code: 'policy_denied', rule: 'git_remotes' })
    }
    expect(gate.sandboxes.current(session.id)).toBeNull()
  })

  it('pushes only for who may do what is of high risk', async () => {
    const session = await gate.session({ network: 'host' })
    expect((await refusal(gate, session, 'git.push', {}, approved)).code).toBe('not_found')
  })
})
