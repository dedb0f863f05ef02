import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadCatalog } from '../../catalog/load-catalog.ts'
import type { PolicyRequest } from '../policy-engine.ts'
import { sampleRequest, sampleTool } from '../request.sample.ts'
import { CedarPolicySet } from './cedar-policy-set.ts'
import { cedarRequest } from './cedar-request.ts'
import { cedarSchema } from './cedar-schema.ts'
import { DEFAULT_POLICIES, PolicySetError, readPolicyFolder } from './policy-files.ts'

const path = (extra: object = {}) => ({
  type: 'object',
  properties: { path: { type: 'string' }, content: { type: 'string' }, ...extra },
  required: ['path'],
})
const read = sampleTool({ name: 'fs.read', input_schema: path(), policy: { paths: [{ field: 'path', access: 'read' }] } })
const write = sampleTool({
  name: 'fs.write',
  input_schema: path(),
  requires_approval: true,
  side_effects: 'reversible',
  policy: { paths: [{ field: 'path', access: 'write' }] },
})
const push = sampleTool({
  name: 'git.push',
  family: 'git',
  risk_level: 'high',
  side_effects: 'irreversible',
  requires_approval: true,
  input_schema: { type: 'object', properties: { remote: { type: 'string', default: 'origin' }, force: { type: 'boolean' } } },
  policy: { needs_network: true },
})
const stat = sampleTool({ name: 'fs.stat', input_schema: { ...path(), properties: { path: { type: 'string' } } } })
const tools = [read, write, push, stat]
const set = (text: string, more: Record<string, string> = {}) =>
  new CedarPolicySet([{ name: 'a.cedar', text }, ...Object.entries(more).map(([name, other]) => ({ name, text: other }))], tools)
const call = (tool: PolicyRequest['tool'], args: object = {}, session: Parameters<typeof sampleRequest>[0]['session'] = {}) => ({
  ...sampleRequest({ args: { ...args }, session }),
  tool,
})
const problems = (make: () => unknown) => {
  try {
    make()
  } catch (error) {
    if (error instanceof PolicySetError) return error.problems
    throw error
  }
  throw new Error('it was accepted')
}

const EVERYTHING = 'permit (principal, action, resource);\n'

describe('deciding', () => {
  it.each([
    ['what is not seen and looked at', 'context.args has content && context.args.content like "*x*"', ['content'], 'deny'],
    ['what is only asked for', 'context.args has content', ['content'], 'deny'],
    ['what is not seen and not looked at', 'context.args.path like "*x*"', ['content'], 'allow'],
    ['what is looked at and seen', 'context.args has content && context.args.content like "*x*"', [], 'allow'],
  ])('does not judge %s', (_, condition, unseen, effect) => {
    const policies = set(`${EVERYTHING}forbid (principal, action == Action::"fs.write", resource) when { ${condition} };`)
    expect(policies.decide({ ...call(write, { path: 'a' }), unseen }).effect).toBe(effect)
  })

  it.each([
    ['what is permitted', EVERYTHING, 'allow', ['a.cedar#1']],
    ['what nothing matches', 'permit (principal, action in Action::"git", resource);', 'deny', []],
    [
      'what is forbidden besides',
      `@id("all") ${EVERYTHING} @id("no-reads") @reason("nobody reads") forbid (principal, action == Action::"fs.read", resource);`,
      'deny',
      ['no-reads'],
    ],
    ['a family', '@id("fs") permit (principal, action in Action::"fs", resource);', 'allow', ['fs']],
    ['a role', '@id("dev") permit (principal in Role::"developer", action, resource);', 'allow', ['dev']],
    ['another role', 'permit (principal in Role::"devops", action, resource);', 'deny', []],
    ['a tenant', '@id("t") permit (principal, action, resource) when { principal.tenant == "default" };', 'allow', ['t']],
    ['another principal', 'permit (principal == Principal::"default/bob", action, resource);', 'deny', []],
    [
      'a tag',
      '@id("t") permit (principal, action, resource) when { resource.hasTag("team") && resource.getTag("team") == "pay" };',
      'allow',
      ['t'],
    ],
    ['no network', '@id("n") permit (principal, action, resource) when { context.network == "none" };', 'allow', ['n']],
    ['risk', '@id("r") permit (principal, action, resource) when { context.tool.risk == "low" };', 'allow', ['r']],
    [
      'an argument',
      '@id("p") permit (principal, action == Action::"fs.read", resource) when { context.args.path like "*.ts" };',
      'allow',
      ['p'],
    ],
    [
      'a directory',
      '@id("p") permit (principal, action, resource) when { context.paths.touched.contains("src") };',
      'allow',
      ['p'],
    ],
    ['an agent', '@id("a") forbid (principal, action, resource) when { context.caller.kind != "agent" };', 'deny', ['a']],
  ])('%s', (_, text, effect, policies) => {
    const request = call(read, { path: 'src/a.ts', content: 'x' }, { metadata: { team: 'pay' } })
    expect(set(text).decide(request)).toMatchObject({ effect, policies })
  })

  it('hands over arguments that are used as a whole', () => {
    const text = 'permit (principal, action == Action::"fs.stat", resource) when { [context.args].contains({ path: "a" }) };'
    expect(set(text).decide(call(stat, { path: 'a' })).effect).toBe('allow')
    expect(set(text).decide(call(stat, { path: 'b' })).effect).toBe('deny')
  })

  it('says why', () => {
    const text = `${EVERYTHING} @id("x") @reason("not on Fridays") forbid (principal, action, resource);`
    expect(set(text).decide(call(read, { path: 'a' })).reason).toBe('forbidden by x: not on Fridays')
    expect(set('permit (principal, action in Action::"git", resource);').decide(call(read, { path: 'a' })).reason).toBe(
      'no policy permits it',
    )
  })

  it('collects what permits demand', () => {
    const text = `
      @id("a") @approval("required") @approvers("owner") @approval_ttl("1h") permit (principal, action, resource);
      @id("b") @approval("required") @approvers("admin, role:devops, principal:default/bob") @reason("it is published")
      permit (principal, action == Action::"git.push", resource);
      @id("c") permit (principal, action, resource);`
    expect(set(text).decide(call(push, { remote: 'origin' }))).toEqual({
      effect: 'allow',
      reason: 'it is published',
      policies: ['a', 'b', 'c'],
      demands: [
        { approvers: ['owner'], ttl_seconds: 3600 },
        { approvers: ['admin', 'role:devops', 'principal:default/bob'], ttl_seconds: null },
      ],
    })
  })

  it('denies when a policy cannot be evaluated: what it forbids is not known', () => {
    const text = `${EVERYTHING} @id("sum") forbid (principal, action == Action::"fs.read", resource) when { context.args.path like "x" && 9223372036854775807 + 1 == 0 };`
    expect(set(text).decide(call(read, { path: 'x' }))).toMatchObject({ effect: 'deny', policies: ['sum'] })
  })

  const judges = set(
    `${EVERYTHING} forbid (principal, action == Action::"fs.read", resource) when { context.args.path like "/etc*" };`,
  )
  it.each([
    ['an argument that does not fit', { path: { __entity: { type: 'Role', id: 'platform_admin' } } }],
    ['a missing one', {}],
    ['an escape', { path: '../../etc' }],
    ['a path too long', { path: 'a'.repeat(2_000_000) }],
  ])('denies %s', (_, args) => {
    expect(judges.decide(call(read, args)).effect).toBe('deny')
  })

  it.each([
    ['a megabyte that no policy looks at', { path: 'a', content: 'x'.repeat(1_000_000) }],
    ['names of prototypes', JSON.parse('{"path":"constructor","__proto__":{"path":"/etc"},"toString":1}')],
    ['an unpaired surrogate', { path: 'a', content: '\ud800' }],
  ])('is not troubled by %s', (_, args) => {
    expect(judges.decide(call(read, args)).effect).toBe('allow')
  })

  it('denies a tool that its policies were not validated against', () => {
    expect(set(EVERYTHING).decide(call(sampleTool({ name: 'new.tool' }))).effect).toBe('deny')
  })

  it('keeps sets apart, also when the memory of one is used again', () => {
    const first = set(EVERYTHING)
    first.release()
    const second = set('permit (principal, action in Action::"git", resource);')
    const third = set(EVERYTHING)
    const request = call(read, { path: 'a' })
    expect([second.decide(request).effect, third.decide(request).effect]).toEqual(['deny', 'allow'])
  })

  it('has a digest of names and texts', () => {
    expect(set(EVERYTHING).digest).toBe(set(EVERYTHING).digest)
    expect(set(EVERYTHING).digest).not.toBe(set(`// a word more\n${EVERYTHING}`).digest)
  })
})

describe('a tool that policies refuse whatever the call', () => {
  const listed = (text: string, session: Parameters<typeof sampleRequest>[0]['session'] = {}) => {
    const policies = set(text)
    const open = tools.filter((tool) => policies.leavesOpen(sampleRequest({ session }).session, tool)).map(({ name }) => name)
    // Whatever is not listed is really refused.
    for (const tool of tools.filter(({ name }) => !open.includes(name)))
      expect(policies.decide(call(tool, { path: 'x' }, session)).effect).toBe('deny')
    return open
  }
  const all = tools.map(({ name }) => name)
  const devops = { principal: { tenant_id: 'default', actor_id: 'alice', roles: ['devops'] } }

  it.each<[string, string, string[]]>([
    ['nothing is against any', EVERYTHING, all],
    [
      'one is forbidden',
      `${EVERYTHING}forbid (principal, action == Action::"fs.write", resource);`,
      ['fs.read', 'git.push', 'fs.stat'],
    ],
    ['a family is forbidden', `${EVERYTHING}forbid (principal, action in Action::"fs", resource);`, ['git.push']],
    [
      'only some are permitted',
      'permit (principal, action in [Action::"fs.read", Action::"fs.stat"], resource);',
      ['fs.read', 'fs.stat'],
    ],
    ['only some people are permitted', 'permit (principal in Role::"devops", action, resource);', []],
    ['all is forbidden', `${EVERYTHING}forbid (principal, action, resource);`, []],
    [
      'it depends on the call',
      `${EVERYTHING}forbid (principal, action == Action::"fs.write", resource) when { context.args.path like "x/*" };`,
      all,
    ],
    ['a permit has a condition', 'permit (principal, action, resource) when { context.tool.risk == "low" };', all],
  ])('is not listed: %s', (_, text, names) => {
    expect(listed(text)).toEqual(names)
  })

  it('goes by the session and its roles', () => {
    const text = `permit (principal in Role::"devops", action, resource);
      forbid (principal, action == Action::"git.push", resource == Session::"guarded");`
    expect(listed(text, devops)).toEqual(all)
    expect(listed(text, { ...devops, id: 'guarded' })).toEqual(['fs.read', 'fs.write', 'fs.stat'])
  })

  it('is shown when the policies do not know it: the call is refused', () => {
    expect(
      set('permit (principal in Role::"devops", action, resource);').leavesOpen(sampleRequest({}).session, sampleTool()),
    ).toBe(true)
  })

  it('is forgotten with its set', () => {
    for (let n = 0; n < 5; n++) {
      const policies = set(`${EVERYTHING}forbid (principal, action == Action::"fs.write", resource);`)
      expect(policies.leavesOpen(sampleRequest({}).session, write)).toBe(false)
      policies.release()
    }
    expect(listed(EVERYTHING)).toEqual(all)
  })
})

describe('a set that cannot be used is refused with file, line and reason', () => {
  it.each([
    ['a syntax error', `${EVERYTHING}\n// ä\npermit (principal, action resource);`, 4, /unexpected token/],
    ['an unknown tool', `${EVERYTHING}\npermit (principal, action == Action::"fs.wirte", resource);`, 3, /fs\.wirte/],
    ['an unknown type', 'permit (principal in Group::"x", action, resource);', 1, /Group/],
    [
      'a misspelt role',
      `${EVERYTHING}permit (principal in Role::"devosp", action, resource);`,
      2,
      /^entity `Role::"devosp"`.*"developer", "devops"/,
    ],
    [
      'a misspelt role in a condition',
      'forbid (principal, action, resource)\nunless { principal in Role::"platform-admin" };',
      2,
      /platform-admin/,
    ],
    [
      'approvers of a misspelt role',
      '@approval("required") @approvers("role:devosp") permit (principal, action, resource);',
      1,
      /"role:devosp" is nobody.*platform_admin/,
    ],
    [
      'an unknown attribute',
      `${EVERYTHING}permit (principal, action, resource)\nwhen { context.tool.rsik == "low" };`,
      3,
      /rsik/,
    ],
    [
      'an argument that not every tool has',
      'permit (principal, action, resource) when { context.args.path like "x" };',
      1,
      /path/,
    ],
    [
      'a risk that no tool has',
      `${EVERYTHING}@id("x") forbid (principal, action, resource) when { context.tool.risk == "hihg" };`,
      2,
      /^context\.tool\.risk is never "hihg": it is of "low"/,
    ],
    [
      'one in a set, deep inside',
      'permit (principal, action, resource) unless { !(true && ["none", "reversable"].contains(context.tool.side_effects)) || false };',
      1,
      /side_effects is never "reversable"/,
    ],
    [
      'a caller of no kind',
      'permit (principal, action, resource) when { if "agents" != context.caller.kind then true else context.network == "none" };',
      1,
      /kind is never "agents"/,
    ],
    [
      'a role in a list',
      'permit (principal, action, resource) when { principal.roles.containsAny(["devops", "admin"]) };',
      1,
      /roles is never "admin"/,
    ],
    [
      'a path as no path is shown',
      `${EVERYTHING}forbid (principal, action, resource) when { context.paths.written.contains("infra/") };`,
      2,
      /^context\.paths\.written never holds "infra\/"/,
    ],
    [
      'one among those that are',
      'permit (principal, action, resource) unless { context.paths.written_whole.containsAny([".", "./config"]) };',
      1,
      /written_whole never holds "\.\/config"/,
    ],
    [
      'one as a root',
      'permit (principal, action, resource) when { context.paths has written_root && context.paths.written_root == "/session/code/a" };',
      1,
      /written_root never holds/,
    ],
    ['another type', 'permit (principal, action, resource) when { context.tool.risk == 3 };', 1, /type/],
    [
      'one that can never match',
      `${EVERYTHING}\n\nforbid (principal, action, resource) when { context.network == "none" && false };`,
      4,
      /./,
    ],
    [
      'a misspelt annotation',
      `${EVERYTHING}\n@aproval("required")\npermit (principal, action, resource);`,
      3,
      /no annotation @aproval/,
    ],
    ['another value', '@approval("maybe") permit (principal, action, resource);', 1, /must be "required"/],
    ['approvers of nothing', '@approvers("owner") permit (principal, action, resource);', 1, /mean nothing without/],
    ['approval of what is forbidden', '@approval("required") forbid (principal, action, resource);', 1, /stands on a permit/],
    [
      'approvers that are nobody',
      '@approval("required") @approvers("owners") permit (principal, action, resource);',
      1,
      /is nobody/,
    ],
    ['no approvers', '@approval("required") @approvers permit (principal, action, resource);', 1, /names nobody/],
    [
      'a time that is none',
      '@approval("required") @approval_ttl("soon") permit (principal, action, resource);',
      1,
      /a time such as/,
    ],
    ['two of one id', `@id("x") ${EVERYTHING}@id("x") ${EVERYTHING}`, 2, /taken by a\.cedar:1/],
    ['a template', 'permit (principal == ?principal, action, resource);', 1, /template/],
  ])('%s', (_, text, line, reason) => {
    const [problem] = problems(() => set(text))
    expect(problem).toMatchObject({ file: 'a.cedar', line, reason: expect.stringMatching(reason) })
  })

  it('in the file where it stands', () => {
    const found = problems(() => set(EVERYTHING, { 'b.cedar': '\n\nforbid (principal, action, resource) when { context.x };' }))
    expect(found).toMatchObject([{ file: 'b.cedar', line: 3 }])
    const twins = problems(() => set(`@id("x") ${EVERYTHING}`, { 'b.cedar': `\n@id("x") ${EVERYTHING}` }))
    expect(twins).toMatchObject([{ file: 'b.cedar', line: 2 }])
  })

  it('finds the line of the twelfth policy too', () => {
    const many = Array.from({ length: 12 }, (_, i) => `@id("p${i}") permit (principal, action, resource);`)
    many[11] = 'permit (principal, action, resource) when { context.nothing };'
    expect(problems(() => set(many.join('\n')))).toMatchObject([{ line: 12 }])
  })
})

describe('with the real catalog', async () => {
  const catalog = (await loadCatalog()).list()
  const metadata = catalog.map((tool) => tool.metadata)
  const schema = cedarSchema(metadata)
  const shipped = new CedarPolicySet(readPolicyFolder(DEFAULT_POLICIES), metadata)

  it.each(metadata.map((tool) => [tool.name, tool] as const))('requests for %s are what the schema says', (name, tool) => {
    const parse = catalog.find((each) => each.metadata.name === name)?.input
    for (const { args } of tool.examples) {
      const request = { ...call(tool), args: parse?.parse(args) as Record<string, unknown> }
      const answer = cedar.isAuthorized({
        ...cedarRequest(request, schema),
        schema: schema.json as cedar.Schema,
        validateRequest: true,
        policies: { staticPolicies: EVERYTHING },
      })
      expect(answer).toMatchObject({ type: 'success', response: { decision: 'allow' } })
    }
  })

  it('whatever the arguments are: what reaches Cedar fits the schema, or nothing does and the call is denied', () => {
    expect(cedar.preparseSchema('hostile', schema.json as cedar.Schema)).toEqual({ type: 'success' })
    expect(cedar.preparsePolicySet('hostile', { staticPolicies: EVERYTHING })).toEqual({ type: 'success' })
    const names = [...new Set(metadata.flatMap(({ input_schema }) => Object.keys(Object(input_schema['properties']))))]
    const key = fc.constantFrom(...names, '__proto__', '__entity', '__extn', 'constructor')
    const entity = fc.constant({ __entity: { type: 'Role', id: 'platform_admin' } })
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string()), entity, fc.anything())
    fc.assert(
      fc.property(fc.constantFrom(...metadata), fc.dictionary(key, value), (tool, args) => {
        const request = call(tool, args)
        let mapped: ReturnType<typeof cedarRequest>
        try {
          mapped = cedarRequest(request, schema)
        } catch {
          expect(shipped.decide(request).effect).toMatch(/^(allow|deny)$/)
          return
        }
        const stateful = { preparsedPolicySetId: 'hostile', preparsedSchemaName: 'hostile', validateRequest: true }
        const answer = cedar.statefulIsAuthorized({ ...mapped, ...stateful })
        expect(answer).toMatchObject({ type: 'success', response: { decision: 'allow' } })
      }),
      { numRuns: 500 },
    )
  })

  it.each(metadata.map((tool) => [tool.name, tool] as const))('the default set and the built-in rules agree on %s', (_, tool) => {
    for (const roles of [['developer'], ['devops'], ['platform_admin']]) {
      const principal = { tenant_id: 'default', actor_id: 'alice', roles }
      const example = tool.examples[0]?.args ?? {}
      const parse = catalog.find((each) => each.metadata === tool)?.input
      const request = {
        ...call(tool, {}, { principal, network: 'host' }),
        args: parse?.parse(example) as Record<string, unknown>,
      }
      const outside = tool.scope === 'cluster' || tool.scope === 'external'
      const refused = (tool.risk_level === 'high' && roles[0] !== 'platform_admin') || (outside && roles[0] === 'developer')
      const verdict = shipped.decide(request)
      expect(verdict.effect).toBe(refused ? 'deny' : 'allow')
      if (verdict.effect === 'allow') expect(verdict.demands.length > 0).toBe(tool.requires_approval)
    }
  })
})
