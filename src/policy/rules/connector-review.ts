import type { PolicyRule } from '../policy-engine.ts'

/** A connector that offers something else than an administrator reviewed is refused, before anybody is asked to approve a call. */
export const connectorReview: PolicyRule = {
  name: 'connector_review',
  check: ({ tool }) => tool.connector?.refused ?? null,
}
