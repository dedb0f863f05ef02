import { TOOL_ROLES } from '../../domain/principal.ts'
import type { ToolMetadata } from '../../domain/tool.ts'
import { type ArgumentShape, type CedarType, cedarType, recordShape } from './argument-shape.ts'

/** The schema that policies are validated against, and what is needed to make requests that fit it. */
export interface CedarSchema {
  /** Cedar's JSON schema format. */
  json: { '': { entityTypes: Record<string, object>; actions: Record<string, object> } }
  /** By tool name. */
  arguments: ReadonlyMap<string, Extract<ArgumentShape, { kind: 'Record' }>>
}

const text = { type: 'String' } as const
const flag = { type: 'Boolean' } as const
const texts = { type: 'Set', element: text } as const
type Attribute = CedarType & { required?: boolean }
const record = (attributes: Record<string, Attribute>) => ({
  type: 'Record' as const,
  attributes: Object.fromEntries(Object.entries(attributes).map(([name, type]) => [name, { required: true, ...type }])),
})

/** Which members these have, and what they mean, is in docs/policy.md. */
const SESSION_TYPES = {
  // The tool roles that there are: a misspelt one is refused when the policies are read.
  Role: { enum: [...TOOL_ROLES] },
  Principal: { memberOfTypes: ['Role'], shape: record({ tenant: text, actor: text, roles: texts }) },
  Session: {
    shape: record({
      tenant: text,
      owner: { type: 'Entity', name: 'Principal' },
      network: text,
      allowed_paths: texts,
      repo_url: { ...text, required: false },
    }),
    tags: text,
  },
}

const ENTITY_TYPES = {
  ...SESSION_TYPES,
  Tool: {
    shape: record({
      name: text,
      family: text,
      scope: text,
      risk: text,
      side_effects: text,
      requires_approval: flag,
      needs_network: flag,
      whole_repository: flag,
    }),
  },
}

const CONTEXT = {
  tool: { type: 'Entity', name: 'Tool' },
  caller: record({ kind: text, id: text }),
  network: text,
  needs_approval: flag,
  paths: record({
    touched: texts,
    written: texts,
    written_whole: texts,
    touched_root: { ...text, required: false },
    written_root: { ...text, required: false },
  }),
} as const

/** Made from the catalog: each tool is an action of its own, in the group of its family, with its own type of arguments. Pure. */
export function cedarSchema(tools: readonly ToolMetadata[]): CedarSchema {
  const actions: Record<string, object> = {}
  const shapes = new Map<string, Extract<ArgumentShape, { kind: 'Record' }>>()
  for (const tool of tools) {
    const shape = recordShape(tool.input_schema) ?? { kind: 'Record', fields: {} }
    shapes.set(tool.name, shape)
    actions[tool.family] ??= {}
    actions[tool.name] = {
      memberOf: [{ id: tool.family }],
      appliesTo: {
        principalTypes: ['Principal'],
        resourceTypes: ['Session'],
        context: record({ ...CONTEXT, args: cedarType(shape) }),
      },
    }
  }
  return { json: { '': { entityTypes: ENTITY_TYPES, actions } }, arguments: shapes }
}

/** Of policies about what is said: a user's message, an answer of the model. */
export const MESSAGE_SCHEMA = {
  '': {
    entityTypes: SESSION_TYPES,
    actions: Object.fromEntries(
      ['message', 'answer'].map((action) => [
        action,
        {
          appliesTo: {
            principalTypes: ['Principal'],
            resourceTypes: ['Session'],
            context: record({
              text,
              characters: { type: 'Long' },
              model: text,
              caller: record({ kind: text, id: text }),
            }),
          },
        },
      ]),
    ),
  },
}
