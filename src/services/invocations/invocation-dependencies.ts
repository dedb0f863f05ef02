import type { Logger } from 'pino'
import type { ArtifactStore } from '../../artifacts/artifact-store.ts'
import type { Catalog } from '../../catalog/catalog.ts'
import type { PolicyEngine } from '../../policy/policy-engine.ts'
import type { InvocationStore, Store } from '../../store/store.ts'
import type { Sandboxes } from '../contracts.ts'
import type { EventLog } from '../event-log.ts'
import type { ArtifactLimits } from './artifact-keeper.ts'
import type { Quota } from './quota.ts'

export interface InvocationServiceDependencies {
  store: Store
  invocationStore: InvocationStore
  eventLog: EventLog
  artifacts: ArtifactStore
  catalog: Catalog
  policy: PolicyEngine
  sandboxes: Sandboxes
  quota: Quota
  logger: Pick<Logger, 'error' | 'warn'>
  clock: () => Date
  /** How long a requested approval waits, in seconds. */
  approvalTtlSeconds: number
  /** What the commands of one invocation may write together, in bytes. */
  maxOutputBytes: number
  artifactLimits: ArtifactLimits
}
