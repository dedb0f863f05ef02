import { z } from 'zod'

export const stackTraceSchema = z.object({
  type: z.enum(['panic', 'fatal_error', 'python_traceback', 'java_exception', 'rust_panic', 'stack_trace']),
  message: z.string(),
  frames: z.array(z.string()).describe('In the order of the output; where it names them, as "function (path:line)".'),
  frame_count: z.int().describe('Also of the frames that were left out.'),
})

export type StackTrace = z.infer<typeof stackTraceSchema>

/** A trace that begins at a line, and the index of the first line after it. */
export interface FoundTrace {
  type: StackTrace['type']
  message: string
  frames: string[]
  next: number
}

/** Reads the trace that begins at `lines[at]`; null: none does. Looks only a few lines ahead before it is sure. Pure. */
export type TraceReader = (lines: string[], at: number) => FoundTrace | null
