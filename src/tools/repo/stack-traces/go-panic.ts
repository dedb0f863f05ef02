import type { TraceReader } from './stack-trace.ts'

/** `panic: ...` and `fatal error: ...` of Go, with the goroutine that was running. */
export const readGoPanic: TraceReader = (lines, at) => {
  const start = /^\s*(panic|fatal error): (.*)$/.exec(lines[at] ?? '')
  if (!start) return null
  const frames: string[] = []
  let next = at + 1
  // Between them: "[signal SIGSEGV ...]", a nested panic, empty lines.
  while (next < lines.length && next < at + 8 && !/^\s*goroutine \d+ /.test(lines[next] ?? '')) next++
  if (!/^\s*goroutine \d+ /.test(lines[next] ?? '')) next = at + 1
  else {
    next++
    while (next < lines.length) {
      const call = /^\s*(?:created by )?([\w./*()[\]{}$·-]+?)(?:\(.*\))?(?: in goroutine \d+)?$/.exec(lines[next] ?? '')
      const place = /^\t(\S.*:\d+)(?: \+0x[0-9a-f]+)?$/.exec((lines[next + 1] ?? '').replace(/^ +/, ''))
      if (!call || !place) break
      frames.push(`${call[1]} (${place[1]})`)
      next += 2
    }
  }
  const type = start[1] === 'panic' ? 'panic' : 'fatal_error'
  return { type, message: (start[2] ?? '').replace(/ \[recovered\]$/, ''), frames, next }
}
