import type { Caller } from '../../domain/principal.ts'

/**
 * Why a turn must stop acting. `interrupt`: somebody asked. `abandon`: its session is closed or deleted. `stop`: this server ends; the
 * turn stays open for the next one.
 */
export class TurnHalt extends Error {
  readonly kind: 'interrupt' | 'abandon' | 'stop'
  /** Who cancels what still runs. */
  readonly by: Caller

  constructor(kind: TurnHalt['kind'], by: Caller = { kind: 'system' }) {
    super(`the turn is halted: ${kind}`)
    this.name = 'TurnHalt'
    this.kind = kind
    this.by = by
  }
}
