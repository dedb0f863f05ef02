import type { TraceReader } from './stack-trace.ts'

/** What the interpreter prints, also indented. */
export const readPythonTraceback: TraceReader = (lines, at) => {
  const start = /^(\s*)Traceback \(most recent call last\):$/.exec(lines[at] ?? '')
  if (!start) return null
  const indent = start[1] ?? ''
  const frames: string[] = []
  let next = at + 1
  for (; next < lines.length; next++) {
    const line = lines[next] ?? ''
    const place = /^\s*File "([^"]+)", line (\d+)(?:, in (.+))?$/.exec(line)
    if (place) frames.push(place[3] === undefined ? `${place[1]}:${place[2]}` : `${place[3]} (${place[1]}:${place[2]})`)
    // Source lines are indented deeper; the error is not.
    else if (!line.startsWith(`${indent} `)) break
  }
  const message = (lines[next] ?? '').trim()
  return { type: 'python_traceback', message, frames, next: next + 1 }
}

/** The lines below a frame's sources that pytest prints: `E   AssertionError: ...`, then `test_a.py:3: AssertionError`. */
export const readPytestFailure: TraceReader = (lines, at) => {
  const start = /^E {3,}(\S.*)$/.exec(lines[at] ?? '')
  if (!start) return null
  let next = at + 1
  while (next < lines.length && /^E( |$)/.test(lines[next] ?? '')) next++
  const frames: string[] = []
  for (let ahead = next; ahead < Math.min(lines.length, next + 30); ahead++) {
    const place = /^(\S+\.py:\d+): (\S.*)?$/.exec(lines[ahead] ?? '')
    if (!place) continue
    frames.push(place[1] as string)
    next = ahead + 1
    break
  }
  return { type: 'python_traceback', message: start[1] ?? '', frames, next }
}
