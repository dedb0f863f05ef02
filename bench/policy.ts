import { cpus } from 'node:os'
import { loadCatalog } from '../src/catalog/load-catalog.ts'
import { CedarPolicySet } from '../src/policy/cedar/cedar-policy-set.ts'
import { DEFAULT_POLICIES, readPolicyFolder } from '../src/policy/cedar/policy-files.ts'
import { LayeredPolicyEngine } from '../src/policy/layered-policy-engine.ts'
import { offlineSession } from '../src/policy/offline/offline-session.ts'
import type { PolicyRequest } from '../src/policy/policy-engine.ts'
import { RulePolicyEngine } from '../src/policy/rule-policy-engine.ts'

/**
 * What a decision costs: `node bench/policy.ts`. Medians of one decision, in microseconds, the built-in rules alone beside them in the
 * same run. Reading and checking a set is measured once: it happens at start and on SIGHUP.
 */

const ROUNDS = 2000
const catalog = await loadCatalog()
const tools = catalog.list().map(({ metadata }) => metadata)

const middle = (durations: number[]) => durations.toSorted((a, b) => a - b)[Math.floor(durations.length / 2)] as number

async function median(work: () => unknown): Promise<number> {
  const durations: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    await work()
    durations.push(performance.now() - start)
  }
  return middle(durations) * 1000
}

const session = offlineSession({
  id: 'ses_bench',
  owner: { tenant_id: 'default', actor_id: 'alice' },
  principal: { tenant_id: 'default', actor_id: 'alice', roles: ['developer'] },
  allowed_paths: ['.'],
  metadata: { team: 'payments' },
  repo_url: null,
  tools: { allow: [], deny: [] },
  auto_approve: [],
  network: 'none',
})
function request(name: string, args: Record<string, unknown>): PolicyRequest {
  const tool = catalog.get(name)
  if (!tool) throw new Error(`there is no tool ${name}`)
  const caller = { kind: 'agent', tenant_id: 'default', actor_id: 'alice', session_id: session.id } as const
  return { caller, session, tool: tool.metadata, args: tool.input.parse(args), approval_reason: null }
}

const fifty = Array.from(
  { length: 50 },
  (_, index) => `@id("p${index}") forbid (principal, action in Action::"fs", resource)
when { context.paths.written.contains("team${index}") && resource.hasTag("team") && resource.getTag("team") != "team${index}" };`,
).join('\n')
const shipped = readPolicyFolder(DEFAULT_POLICIES)
const sets = { shipped, 'shipped and fifty more': [...shipped, { name: 'fifty.cedar', text: fifty }] }
const requests = {
  'fs.read': request('fs.read', { path: 'src/deep/down/in/the/tree/file.ts' }),
  'fs.write, 1 MB': request('fs.write', { path: 'src/deep/file.ts', content: 'x'.repeat(1_000_000) }),
}

const rules = new RulePolicyEngine()
const rows: Record<string, Record<string, string>> = {}
for (const [what, asked] of Object.entries(requests))
  rows[what] = { 'rules alone': (await median(() => rules.decide(asked))).toFixed(1) }
for (const [name, files] of Object.entries(sets)) {
  const start = performance.now()
  const cedar = new CedarPolicySet(files, tools)
  console.log(
    `${name}: ${cedar.ids.length} policies for ${tools.length} tools, read and checked in ${(performance.now() - start).toFixed(0)} ms`,
  )
  const engine = new LayeredPolicyEngine({ rules, cedar, opa: null })
  for (const [what, asked] of Object.entries(requests)) {
    const row = rows[what] as Record<string, string>
    row[name] = (await median(() => engine.decide(asked))).toFixed(1)
  }
}
console.log(`one decision, median of ${ROUNDS}, microseconds (${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version})`)
console.table(rows)
