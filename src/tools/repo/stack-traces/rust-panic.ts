import type { TraceReader } from './stack-trace.ts'

/** With the message on the same line (before Rust 1.73) or on the next; with a backtrace if RUST_BACKTRACE asked for one. */
export const readRustPanic: TraceReader = (lines, at) => {
  const start = /^\s*thread '([^']*)'(?: \(\d+\))? panicked at (.*)$/.exec(lines[at] ?? '')
  if (!start) return null
  const rest = start[2] ?? ''
  const old = /^'(.*)', (\S+:\d+:\d+)$/.exec(rest)
  let next = at + 1
  let message = old?.[1] ?? ''
  if (!old) {
    message = lines[next] ?? ''
    next++
  }
  const frames = [`${start[1]} (${old?.[2] ?? rest.replace(/:$/, '')})`]
  let ahead = next
  while (ahead < Math.min(lines.length, next + 10) && !/^stack backtrace:$/.test(lines[ahead] ?? '')) ahead++
  if (/^stack backtrace:$/.test(lines[ahead] ?? '')) {
    next = ahead + 1
    while (next < lines.length) {
      const call = /^ *\d+: +(?:0x[0-9a-f]+ - )?(.+)$/.exec(lines[next] ?? '')
      if (!call) break
      const place = /^ +at (\S.*)$/.exec(lines[next + 1] ?? '')
      frames.push(place ? `${call[1]} (${place[1]})` : (call[1] as string))
      next += place ? 2 : 1
    }
  }
  return { type: 'rust_panic', message, frames, next }
}
