import { z } from 'zod'

/**
 * What is said over the bridge's socket: one line of JSON each way, one exchange for a connection. The bridge runs in the sandbox, so
 * its answers are a stranger's.
 */

/** The bridge is not there, and nothing was sent. */
export const NO_BRIDGE = 69
/** The bridge was there, and went before it answered. */
export const BRIDGE_LOST = 70
/** Bytes of a line. */
export const LINE_BYTES = 8 * 1024 * 1024

export type BridgeRequest =
  | { op: 'list'; timeout_ms: number }
  | { op: 'call'; digest: string; tool: string; args: Record<string, unknown>; timeout_ms: number }

export const bridgeAnswer = z.union([
  z.object({ listed: z.array(z.unknown()) }),
  z.object({ fault: z.object({ code: z.enum(['unreachable', 'unfit', 'timeout', 'lost', 'refused']), message: z.string() }) }),
  z.object({ result: z.unknown() }),
])
export type BridgeAnswer = z.infer<typeof bridgeAnswer>
