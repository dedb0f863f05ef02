/** What of a request a set of policies can look at, so that nothing else has to be handed over. */
export interface Mentioned {
  /** Names of attributes, wherever they are asked for. */
  names: Set<string>
  /** The arguments, or the context, are used as a whole. */
  everything: boolean
}

/** Adds what a policy mentions, from its conditions in Cedar's JSON format. */
export function mention(into: Mentioned, conditions: readonly unknown[]): void {
  for (const condition of conditions) walk(into, condition, false)
}

/** @param accessed an attribute of this expression is asked for, so that it is not used as a whole */
function walk(into: Mentioned, node: unknown, accessed: boolean): void {
  if (Array.isArray(node)) for (const each of node) walk(into, each, false)
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return
  for (const [operator, operand] of Object.entries(node)) {
    if (operator === 'Var' && operand === 'context' && !accessed) into.everything = true
    else if ((operator === '.' || operator === 'has') && isAccess(operand)) {
      for (const name of [operand.attr].flat()) into.names.add(name)
      if (operator === '.' && (operand.attr === 'args' || operand.attr === 'paths') && !accessed) into.everything = true
      walk(into, operand.left, true)
    } else walk(into, operand, false)
  }
}

function isAccess(operand: unknown): operand is { left: unknown; attr: string | string[] } {
  return typeof operand === 'object' && operand !== null && 'left' in operand && 'attr' in operand
}
