import type { Invocation } from './invocation.ts'

/** Characters of one result that an agent's model sees: about 8,000 tokens. What is more is kept whole, as an artifact that the result names. */
export const SHOWN_RESULT = 32_000

/** What a result says besides output, error and artifacts: its status, the names of its fields, the artifact of the whole. */
const AROUND = 500

/** Will the model see only a part of what the call returned? Never no where it does; yes also where it just does not. Pure. */
export function exceedsShown({ output, error, artifacts }: Pick<Invocation, 'output' | 'error' | 'artifacts'>): boolean {
  return output !== null && JSON.stringify({ output, error, artifacts }).length + AROUND > SHOWN_RESULT
}
