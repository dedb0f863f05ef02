import { readAtFrames } from './at-frames.ts'
import { readGoPanic } from './go-panic.ts'
import { readPytestFailure, readPythonTraceback } from './python-traceback.ts'
import { readRustPanic } from './rust-panic.ts'
import type { StackTrace, TraceReader } from './stack-trace.ts'

const READERS: TraceReader[] = [readGoPanic, readPythonTraceback, readPytestFailure, readRustPanic, readAtFrames]

/** Characters: of a line that is looked at, and of a message. */
const LONGEST_LINE = 1000

/**
 * The stack traces in what a program printed (colours taken off), in order.
 * @param limits how many traces are kept (all are counted), and how many frames of each
 */
export function parseStackTraces(
  output: string,
  limits: { traces: number; frames: number },
): { traces: StackTrace[]; count: number } {
  const lines = output.split('\n').map((line) => line.slice(0, LONGEST_LINE).trimEnd())
  const traces: StackTrace[] = []
  let count = 0
  for (let at = 0; at < lines.length; ) {
    const found = READERS.reduce<ReturnType<TraceReader>>((first, read) => first ?? read(lines, at), null)
    if (!found) {
      at++
      continue
    }
    count++
    const { type, message, frames } = found
    if (traces.length < limits.traces)
      traces.push({ type, message, frames: frames.slice(0, limits.frames), frame_count: frames.length })
    at = Math.max(found.next, at + 1)
  }
  return { traces, count }
}
