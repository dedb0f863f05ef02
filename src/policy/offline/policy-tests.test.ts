import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { CedarPolicySet } from '../cedar/cedar-policy-set.ts'
import { LayeredPolicyEngine } from '../layered-policy-engine.ts'
import { sampleTool } from '../request.sample.ts'
import { RulePolicyEngine } from '../rule-policy-engine.ts'
import { OfflineDecider } from './offline-decider.ts'
import { readPolicyTests, runPolicyTests } from './policy-tests.ts'

const metadata = sampleTool({})
const text = `@id("all") permit (principal, action, resource);
@id("pay") @approval("required") @approvers("admin") permit (principal, action, resource) when { resource.hasTag("team") && resource.getTag("team") == "pay" };
@id("no-mcp") @reason("not from outside") forbid (principal, action, resource) when { context.caller.kind == "mcp" };`
const engine = new LayeredPolicyEngine({
  rules: new RulePolicyEngine(),
  cedar: new CedarPolicySet([{ name: 'a.cedar', text }], [metadata]),
  opa: null,
})
const decider = new OfflineDecider(engine, [
  { metadata, approvalReason: () => null, parse: (args) => ('bad' in args ? { problem: 'bad: unknown' } : { args }) },
])

function write(content: unknown, name = 'a.test.json'): string {
  const dir = mkdtempSync(join(tmpdir(), 'cloister-policy-tests-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content))
  return dir
}
const run = (expected: unknown, fields: object = {}) =>
  runPolicyTests(decider, readPolicyTests(write({ cases: [{ name: 'x', tool: 'fs.sample', expect: expected, ...fields }] })))

const expecting = (expected: object) => ({ cases: [{ name: 'x', tool: 'y', expect: expected }] })
const pay = { session: { metadata: { team: 'pay' } } }
it.each<[string, unknown, object, RegExp | null]>([
  ['what is allowed', 'allow', {}, null],
  ['what is not', 'deny', {}, /effect is "allow", expected "deny"/],
  ['an approval', { effect: 'require_approval', approvers: [['admin']], policies: ['pay', 'all'] }, pay, null],
  ['other approvers', { effect: 'require_approval', approvers: [['owner']] }, pay, /approvers is/],
  ['other policies', { effect: 'require_approval', policies: ['pay'] }, pay, /policies is/],
  ['another time', { effect: 'require_approval', ttl: '1h' }, pay, /ttl in seconds is null, expected 3600/],
  ['a reason', { effect: 'deny', rule: 'cedar', reason: 'not from outside' }, { session: { caller: 'mcp' } }, null],
  ['another reason', { effect: 'deny', reason: 'because' }, { session: { caller: 'mcp' } }, /expected it to hold/],
  ['a built-in rule', { effect: 'deny', rule: 'tool_selection' }, { session: { tools: { deny: ['fs.*'] } } }, null],
  ['a standing approval of somebody else', 'require_approval', { session: { ...pay.session, auto_approve: ['*'] } }, null],
  ['an unknown tool', 'deny', { tool: 'no.tool' }, /no tool "no.tool"/],
  ['arguments that do not fit', 'deny', { args: { bad: 1 } }, /do not fit/],
])('%s', async (_, expected, fields, problem) => {
  const [result] = await run(expected, fields)
  expect(result?.passed).toBe(problem === null)
  if (problem) expect(result?.problems.join('\n')).toMatch(problem)
})

it.each<[string, unknown, string, RegExp]>([
  ['no JSON', '{', 'a.test.json', /a\.test\.json: it cannot be read/],
  ['an unknown field', { cases: [{ name: 'x', tool: 'y', expect: 'allow', expected: 1 }] }, 'a.test.json', /expected/],
  ['no cases', { cases: [] }, 'a.test.json', /cases/],
  [
    'a time that is none',
    expecting({ effect: 'require_approval', ttl: '2 hours' }),
    'a.test.json',
    /cases\.0\.expect\.ttl: .*"2d"/,
  ],
  ['no time', expecting({ effect: 'require_approval', ttl: '0h' }), 'a.test.json', /cases\.0\.expect\.ttl/],
  [
    'approvers that are nobody',
    expecting({ effect: 'require_approval', approvers: [['owner', 'role:develper']] }),
    'a.test.json',
    /cases\.0\.expect\.approvers\.0\.1: "role:develper" is nobody.*developer/,
  ],
  ['an empty list of approvers', expecting({ effect: 'require_approval', approvers: [[]] }), 'a.test.json', /approvers\.0/],
  ['an unknown member of what is expected', expecting({ effect: 'allow', until: '1h' }), 'a.test.json', /expect: .*until/],
  ['an effect that is none', { cases: [{ name: 'x', tool: 'y', expect: 'permit' }] }, 'a.test.json', /expect/],
  ['no files', {}, 'other.json', /holds no \*\.test\.json/],
])('refuses %s', (_, content, name, reason) => {
  expect(() => readPolicyTests(write(content, name))).toThrow(reason)
})
