import { actorOf, principalKey } from '../../domain/principal.ts'
import type { Session } from '../../domain/session.ts'
import { calledPaths } from '../called-paths.ts'
import type { PolicyRequest } from '../policy-engine.ts'
import { type CedarValue, cedarValue, UnfitArgument } from './argument-shape.ts'
import type { CedarSchema } from './cedar-schema.ts'
import type { Mentioned } from './mentioned.ts'

interface Uid {
  type: string
  id: string
}

export interface Entity {
  uid: Uid
  attrs: Record<string, CedarValue>
  parents: Uid[]
  tags?: Record<string, string>
}

const ALL: Mentioned = { names: new Set(), everything: true }

/** What Cedar is asked: may this principal do this (call a tool, say something) to this session? */
export interface CedarRequest {
  principal: Uid
  action: Uid
  resource: Uid
  context: Record<string, CedarValue>
  entities: Entity[]
}

/**
 * Pure. What no policy mentions is left out: a file's content would cost milliseconds. Nothing that a caller chose becomes a key, an entity or a type: only texts, numbers and flags at places that the schema names.
 * @throws UnfitArgument, UnexpectedArgument, UnjudgedPaths: the call is to be refused
 */
export function cedarRequest(request: PolicyRequest, schema: CedarSchema, mentioned: Mentioned = ALL): CedarRequest {
  const { caller, session, tool, args, approval_reason } = request
  const shape = schema.arguments.get(tool.name)
  if (!shape) throw new UnfitArgument(tool.name, 'a tool of the catalog that the policies were validated against')
  const { touched, written, written_whole, touched_root, written_root } = calledPaths(tool, args)
  const looksAt = (name: string) => mentioned.everything || mentioned.names.has(name)
  const judged = {
    kind: 'Record',
    fields: Object.fromEntries(Object.entries(shape.fields).filter(([name]) => looksAt(name))),
  } as const
  const principal = { type: 'Principal', id: principalKey(session.principal) }
  const resource = { type: 'Session', id: session.id }
  const toolUid = { type: 'Tool', id: tool.name }
  const action = { type: 'Action', id: tool.name }
  const { kind, id } = actorOf(caller)
  return {
    principal,
    action,
    resource,
    context: {
      tool: { __entity: { ...toolUid } },
      caller: { kind, id },
      network: session.network,
      needs_approval: tool.requires_approval || approval_reason !== null,
      paths: {
        ...(looksAt('touched') && { touched }),
        ...(looksAt('written') && { written }),
        ...(looksAt('written_whole') && { written_whole }),
        ...(touched_root !== null && { touched_root }),
        ...(written_root !== null && { written_root }),
      },
      args: cedarValue(judged, args, 'args'),
    },
    entities: [
      ...sessionEntities(session),
      {
        uid: toolUid,
        attrs: {
          name: tool.name,
          family: tool.family,
          scope: tool.scope,
          risk: tool.risk_level,
          side_effects: tool.side_effects,
          requires_approval: tool.requires_approval,
          needs_network: tool.policy.needs_network,
          whole_repository: tool.policy.whole_repository,
        },
        parents: [],
      },
      { uid: action, attrs: {}, parents: [{ type: 'Action', id: tool.family }] },
    ],
  }
}

/** Whom a session acts as, and the session itself: what every question is about. */
export function sessionEntities(session: Session): Entity[] {
  const { tenant_id, actor_id, roles } = session.principal
  return [
    {
      uid: { type: 'Principal', id: principalKey(session.principal) },
      attrs: { tenant: tenant_id, actor: actor_id, roles: [...roles] },
      parents: roles.map((role) => ({ type: 'Role', id: role })),
    },
    {
      uid: { type: 'Session', id: session.id },
      attrs: {
        tenant: session.owner.tenant_id,
        owner: { __entity: { type: 'Principal', id: principalKey(session.owner) } },
        network: session.network,
        allowed_paths: [...session.allowed_paths],
        ...(session.repo_url !== null && { repo_url: session.repo_url }),
      },
      parents: [],
      tags: session.metadata,
    },
  ]
}
