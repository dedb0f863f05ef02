import { TOOL_ROLES } from '../../domain/principal.ts'
import { isShownPath } from '../called-paths.ts'

/**
 * Attributes that hold one of a few words. To Cedar they are texts like any other, so that a misspelt word is valid and simply never
 * there: a forbid that names one would never forbid.
 */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  'context.caller.kind': ['user', 'agent', 'mcp'],
  'context.network': ['none', 'host'],
  'context.tool.risk': ['low', 'medium', 'high'],
  'context.tool.scope': ['repo', 'workspace', 'cluster', 'external'],
  'context.tool.side_effects': ['none', 'reversible', 'irreversible'],
  'principal.roles': TOOL_ROLES,
  'resource.network': ['none', 'host'],
}

/** Attributes that hold paths. They are written in one way only. */
const PATHS = ['touched', 'written', 'written_whole', 'touched_root', 'written_root'].map((name) => `context.paths.${name}`)

/** Comparisons with a word that an attribute never has, each in words. From conditions in Cedar's JSON format; pure. */
export function impossibleWords(conditions: readonly unknown[]): string[] {
  return conditions.flatMap(inside)
}

function inside(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(inside)
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([operator, operand]) => [
    ...(COMPARISONS.has(operator) && isPair(operand) ? compared(operand.left, operand.right) : []),
    ...inside(operand),
  ])
}

const COMPARISONS = new Set(['==', '!=', 'contains', 'containsAny', 'containsAll'])

function compared(left: unknown, right: unknown): string[] {
  const path = pathOf(left) ?? pathOf(right)
  if (path !== null && PATHS.includes(path))
    return [...textsOf(left), ...textsOf(right)]
      .filter((text) => !isShownPath(text))
      .map(
        (text) =>
          `${path} never holds ${JSON.stringify(text)}: paths are relative to the workspace ("src/a.ts", "." is all of it) or under /session/data, without a slash at their end`,
      )
  const known = path !== null && Object.hasOwn(WORDS, path) ? WORDS[path] : undefined
  if (known === undefined) return []
  return [...textsOf(left), ...textsOf(right)]
    .filter((text) => !known.includes(text))
    .map((text) => `${path} is never ${JSON.stringify(text)}: it is of ${known.map((word) => JSON.stringify(word)).join(', ')}`)
}

/** `context.tool.risk` of an expression that asks for just that; null: another one. */
function pathOf(node: unknown): string | null {
  if (!isObject(node)) return null
  if (typeof node['Var'] === 'string') return node['Var']
  const access = node['.']
  if (!isObject(access) || typeof access['attr'] !== 'string') return null
  const before = pathOf(access['left'])
  return before === null ? null : `${before}.${access['attr']}`
}

/** A text, or those of a set. */
function textsOf(node: unknown): string[] {
  if (!isObject(node)) return []
  if (typeof node['Value'] === 'string') return [node['Value']]
  return Array.isArray(node['Set']) ? node['Set'].flatMap(textsOf) : []
}

function isPair(operand: unknown): operand is { left: unknown; right: unknown } {
  return isObject(operand) && 'left' in operand && 'right' in operand
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
