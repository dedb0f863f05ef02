import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { beforeEach, expect, it } from 'vitest'
import type { EventType } from '../domain/event.ts'
import { makeMetrics } from './metrics.ts'

let registry: Registry
let metrics: ReturnType<typeof makeMetrics>
beforeEach(() => {
  registry = new Registry()
  metrics = makeMetrics(registry, {
    openStreams: () => 3,
    countSessions: async () => ({ idle: 2, busy: 1 }),
    countConnectors: () => ({ changed: 1 }),
  })
})

/** The samples of one scrape, buckets left out. */
async function samples(): Promise<string[]> {
  return (await registry.metrics())
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && !line.includes('_bucket{'))
}

it.each<[EventType, Record<string, unknown>, string[]]>([
  [
    'invocation.completed',
    { tool_name: 'fs.read', status: 'succeeded', duration_ms: 1500, error: null },
    [
      'cloister_invocations_total{tool="fs.read",status="succeeded"} 1',
      'cloister_invocation_duration_seconds_sum{tool="fs.read"} 1.5',
      'cloister_invocation_duration_seconds_count{tool="fs.read"} 1',
    ],
  ],
  [
    'invocation.completed',
    { tool_name: 'repo.run_tests', status: 'failed', duration_ms: 2, error: { code: 'tests_failed', message: 'ses_1' } },
    ['cloister_invocation_failures_total{tool="repo.run_tests",code="tests_failed"} 1'],
  ],
  [
    'invocation.denied',
    { tool_name: 'fs.write', rule: 'path_scope', error: { code: 'policy_denied' } },
    [
      'cloister_invocations_total{tool="fs.write",status="denied"} 1',
      'cloister_invocation_denials_total{tool="fs.write",rule="path_scope"} 1',
    ],
  ],
  [
    'invocation.denied',
    { tool_name: 'fs.write', error: { code: 'rate_limited' } },
    ['cloister_invocation_denials_total{tool="fs.write",rule="rate_limited"} 1'],
  ],
  ['approval.requested', {}, ['cloister_approvals_total{outcome="requested"} 1']],
  ['approval.decided', { status: 'denied' }, ['cloister_approvals_total{outcome="denied"} 1']],
  ['approval.expired', {}, ['cloister_approvals_total{outcome="expired"} 1']],
  ['approval.used', {}, ['cloister_approvals_total{outcome="used"} 1']],
  [
    'sandbox.started',
    { kind: 'bubblewrap', purpose: 'clone', duration_ms: 250 },
    ['cloister_sandbox_start_duration_seconds_sum{kind="bubblewrap",purpose="clone"} 0.25'],
  ],
  ['sandbox.stopped', { kind: 'bubblewrap' }, ['cloister_sandbox_ends_total{kind="bubblewrap",how="stopped"} 1']],
  ['sandbox.lost', { kind: 'bubblewrap' }, ['cloister_sandbox_ends_total{kind="bubblewrap",how="lost"} 1']],
  ['turn.completed', { status: 'failed' }, ['cloister_turns_total{outcome="failed"} 1']],
  ['turn.interrupted', {}, ['cloister_turns_total{outcome="interrupted"} 1']],
  [
    'model.called',
    {
      model: 'anthropic/m',
      latency_ms: 3000,
      error: null,
      usage: { input_tokens: 100, output_tokens: 7, cache_read_tokens: 60, cache_write_tokens: 0 },
    },
    [
      'cloister_model_calls_total{model="anthropic/m",outcome="ok"} 1',
      'cloister_model_call_duration_seconds_sum{model="anthropic/m"} 3',
      'cloister_model_tokens_total{model="anthropic/m",direction="input"} 100',
      'cloister_model_tokens_total{model="anthropic/m",direction="output"} 7',
      'cloister_model_tokens_total{model="anthropic/m",direction="cache_read"} 60',
    ],
  ],
  [
    'model.called',
    { model: 'anthropic/m', latency_ms: 1, error: { kind: 'overloaded', message: 'x' }, usage: null },
    ['cloister_model_calls_total{model="anthropic/m",outcome="overloaded"} 1'],
  ],
  ['artifact.stored', { size_bytes: 12 }, ['cloister_artifact_bytes_total 12']],
])('%s %j', async (type, data, expected) => {
  metrics.count({ type, data })
  expect(await samples()).toEqual(expect.arrayContaining(expected))
})

it('asks for states at each scrape', async () => {
  expect(await samples()).toEqual(
    expect.arrayContaining([
      'cloister_event_streams 3',
      'cloister_sessions{state="idle"} 2',
      'cloister_sessions{state="busy"} 1',
    ]),
  )
})

it('has few models, however many are named, and breaks at no event', async () => {
  for (let i = 0; i < 500; i++) metrics.count({ type: 'model.called', data: { model: `anthropic/${i}`, error: null } })
  expect((await samples()).filter((line) => line.startsWith('cloister_model_calls_total'))).toHaveLength(51)
  for (const type of ['invocation.completed', 'invocation.denied', 'sandbox.started', 'model.called', 'session.created'] as const)
    metrics.count({ type, data: {} })
})

it('is documented, all of it', async () => {
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  const documented = [...page.matchAll(/^\| `(cloister_\w+)`/gm)].map(([, name]) => name)
  const served = [...(await registry.metrics()).matchAll(/^# HELP (\w+)/gm)].map(([, name]) => name)
  expect(documented).toEqual(served.sort())
})
