import { NOT_COMPACTED } from '../../src/agent/compaction.ts'
import type { Instructions } from '../../src/agent/context.ts'
import { resolveModel } from '../../src/agent/model-provider.ts'
import type { Progress, ToolCall, TurnTask } from '../../src/agent/turn-task.ts'
import { type Budget, type Budgets, NO_BUDGET, NOTHING_SPENT } from '../../src/domain/budget.ts'
import type { Invocation } from '../../src/domain/invocation.ts'
import { policyHints, type ToolMetadata } from '../../src/domain/tool.ts'

/** `fs.write` changes something and needs an approval, the others only read. */
const tool = (name: string, requires_approval = false): ToolMetadata => ({
  name,
  family: name.split('.')[0] ?? '',
  description: `what ${name} does`,
  input_schema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'], additionalProperties: false },
  output_schema: { type: 'object' },
  scope: 'workspace',
  side_effects: requires_approval ? 'reversible' : 'none',
  risk_level: 'low',
  requires_approval,
  idempotency: 'guaranteed',
  constraints: { timeout_seconds: 10, max_retries: 0, output_limit_kb: 256 },
  cost_hint: 'low',
  policy: policyHints(),
  observability: { trace_name: 'workspace.tools', span_name: name },
  primary_output: null,
  errors: [],
  examples: [],
})

/** How a call ended: it echoes its arguments. */
export function invocation(call: ToolCall, fields: Partial<Invocation> = {}): Invocation {
  return {
    id: `inv_${call.step}_${call.index}`,
    session_id: 's',
    turn_id: 'trn_1',
    tool_name: call.tool_name,
    args: call.args,
    args_digest: '',
    actor: { kind: 'agent', id: 'demo/alice' },
    correlation_id: null,
    status: 'succeeded',
    approval: null,
    decision: null,
    started_at: '',
    completed_at: '',
    duration_ms: 1,
    exit_code: null,
    trace_name: '',
    span_name: '',
    trace_id: '',
    output: { echoed: call.args },
    output_ref: null,
    logs_ref: null,
    artifacts: [],
    truncated: false,
    error: null,
    ...fields,
  }
}

/** A task on the wire server, everything it did, and the text that a listener would have at the end. */
export function turnTask(url: string, overrides: Partial<TurnTask> = {}) {
  const seen = {
    progress: [] as Progress[],
    calls: [] as ToolCall[],
    slept: [] as number[],
    streamed: new Map<number, string>(),
    instructionReads: 0,
  }
  const abort = new AbortController()
  const task: TurnTask = {
    model: resolveModel('anthropic/claude-sonnet-5-5', {
      default_model: null,
      anthropic: { api_key: 'key-of-the-test', base_url: url },
      openai: null,
      compat: null,
      scripts_folder: null,
      settings: {},
    }),
    turn_id: 'trn_1',
    fallback: null,
    compaction: NOT_COMPACTED,
    tools: [tool('fs.read'), tool('repo.run_tests'), tool('fs.write', true)],
    workspace: {
      allowed_paths: ['.'],
      network: 'none',
      secret_names: ['API_TOKEN'],
      limits: { memory_mb: 512, cpus: 1, pids: 64 },
      budget: { ...NO_BUDGET, steps: 10 },
    },
    past: [],
    user: 'make the tests pass',
    steps: [],
    readInstructions: async () => instructions(`say please, ${++seen.instructionReads}`),
    invoke: async (call) => {
      seen.calls.push(call)
      return { invocation: invocation(call), waited: null }
    },
    persist: async (progress) => {
      seen.progress.push(structuredClone(progress))
    },
    onDelta: (delta) => {
      seen.streamed.set(delta.step, 'reset' in delta ? '' : (seen.streamed.get(delta.step) ?? '') + delta.text)
    },
    redact: (value) => JSON.parse(JSON.stringify(value).replaceAll('hunter2hunter2', '[secret:API_TOKEN]')),
    signal: abort.signal,
    budgets: budgets({ steps: 10, seconds: 60 }),
    spent: { turn: NOTHING_SPENT, session: NOTHING_SPENT },
    stall_ms: 5000,
    retry: { max_attempts: 4, base_ms: 100, max_ms: 1000, random: () => 0 },
    now: () => new Date(),
    sleep: async (ms) => {
      seen.slept.push(ms)
    },
    ...overrides,
  }
  return { task, seen, abort }
}

/** Limits of one turn. */
export const budgets = (turn: Partial<Budget>): Budgets => ({ turn: { ...NO_BUDGET, ...turn }, session: NO_BUDGET })

export const instructions = (content: string): Instructions => ({
  path: '/session/code/instructions.md',
  text: content,
  sha256: 'x',
  note: null,
})
