import type { Approval, Budget, Invocation, Session } from '../client/cloister-client.ts'
import { fields } from './table.ts'
import { plainText } from './terminal-text.ts'

/** 2026-11-20T10:11:12.345Z as 2026-11-20 10:11:12, UTC; `-` for none. */
export function time(value: string | null): string {
  return value === null ? '-' : value.slice(0, 19).replace('T', ' ')
}

export function duration(ms: number | null): string {
  if (ms === null) return '-'
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const kib = bytes / 1024
  return kib < 1024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1024).toFixed(1)} MiB`
}

/** A call's arguments on one line: `path=src/a.ts recursive=true`, long values cut at `limit` characters. */
export function argsLine(args: Record<string, unknown>, limit = 60): string {
  return Object.entries(args)
    .map(([name, value]) => {
      const text =
        typeof value === 'string' ? (/^[\w./@:+-]+$/.test(value) ? value : JSON.stringify(value)) : JSON.stringify(value)
      return `${nameOf(name)}=${cut(text, limit)}`
    })
    .join(' ')
}

/** A call's arguments for somebody who has to decide about them: nothing left out. */
export function argsInFull(args: Record<string, unknown>): string {
  return Object.entries(args)
    .map(([name, value]) => {
      // One by one: an escape sequence that begins in one value and ends in another would take what stands between with it.
      const text = plainText(typeof value === 'string' ? value : valueInFull(value))
      return text.includes('\n') ? `${nameOf(name)}:\n${text.replace(/^/gm, '    | ')}` : `${nameOf(name)}: ${text}`
    })
    .join('\n')
}

/** Some tools take any argument: a name with a line end in it would look like two arguments. */
function nameOf(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : JSON.stringify(name)
}

/** On one line what fits one. */
function valueInFull(value: unknown): string {
  const line = JSON.stringify(value)
  return line.length <= 100 || isPlainList(value) ? line : JSON.stringify(value, null, 2)
}

function isPlainList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item !== 'object')
}

export function cut(text: string, limit: number): string {
  const characters = [...text]
  return characters.length > limit ? `${characters.slice(0, limit - 1).join('')}…` : text
}

export function sessionFields(session: Session): string {
  const isolation = session.sandbox?.isolation
  return fields([
    ['id', session.id],
    ['name', session.name],
    ['state', session.state_reason ? `${session.state}: ${session.state_reason}` : session.state],
    ['owner', `${session.owner.tenant_id}/${session.owner.actor_id}`],
    ['roles', session.principal.roles.join(', ') || '-'],
    ['allowed paths', session.allowed_paths.join(', ')],
    ['model', session.model ?? '-'],
    ['repository', session.repo_url ? `${session.repo_url}${session.repo_ref ? ` at ${session.repo_ref}` : ''}` : '-'],
    ['sandbox', session.sandbox ? `${session.sandbox.kind}, generation ${session.sandbox.generation}` : 'none running'],
    ...(isolation
      ? ([
          [
            'isolation',
            `${isolation.level}, network ${isolation.network}, seccomp ${isolation.seccomp ? 'on' : 'off'}, uid ${isolation.uid}`,
          ],
        ] as const)
      : []),
    [
      'used',
      `${session.usage.turns} turns, ${session.usage.invocations} invocations, ${session.usage.input_tokens} + ${session.usage.output_tokens} tokens${session.usage.cost_usd > 0 ? `, US$ ${session.usage.cost_usd.toFixed(4)}` : ''}`,
    ],
    ['budget of a turn', budgetText(session.budgets.turn)],
    ['budget of the session', budgetText(session.budgets.session)],
    ['created', time(session.created_at)],
    ['last activity', time(session.last_activity_at)],
    ['expires', time(session.expires_at)],
    ['closed', time(session.closed_at)],
  ])
}

function budgetText({ steps, tokens, cost_usd, seconds }: Budget): string {
  const items = [
    ...(steps === null ? [] : [`${steps} model calls`]),
    ...(tokens === null ? [] : [`${tokens} tokens`]),
    ...(cost_usd === null ? [] : [`US$ ${cost_usd}`]),
    ...(seconds === null ? [] : [`${seconds} s`]),
  ]
  return items.join(', ') || 'no limit'
}

export function approvalFields(approval: Approval): string {
  return `${fields([
    ['id', approval.id],
    ['session', approval.session_id],
    ['invocation', approval.invocation_id],
    ['tool', approval.tool_name],
    ['status', approval.status],
    ['requested by', approval.requested_by],
    ['approvers', approval.approvers.map((each) => each.join(' or ')).join(', and also ')],
    ['decided by', approval.decided_by ?? '-'],
    ['reason', approval.reason ?? '-'],
    ['created', time(approval.created_at)],
    ['expires', time(approval.expires_at)],
  ])}\nargs\n${argsInFull(approval.args).replace(/^/gm, '  ')}`
}

/** How a call came out, in a few words: `succeeded, 12 ms`, `failed (tests_failed): 2 of 11 tests failed`. */
export function outcome(invocation: Invocation): string {
  const code = invocation.error ? ` (${invocation.error.code}): ${invocation.error.message}` : ''
  return `${invocation.status}${code}${invocation.duration_ms === null ? '' : `, ${duration(invocation.duration_ms)}`}`
}
