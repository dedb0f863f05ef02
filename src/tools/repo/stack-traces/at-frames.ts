import type { TraceReader } from './stack-trace.ts'

const FRAME = /^\s+at (\S.*)$/
const JAVA_FRAME = /\((?:[\w$]+\.(?:java|kt|scala|groovy|clj):\d+|Native Method|Unknown Source|[\w$]+\.java)\)(?: ~?\[.*\])?$/
const ERROR =
  /^\s*(?:[✖×❯#] *)?(?:Uncaught |Exception in thread "[^"]*" |Caused by: )?([\w$.]*(?:Error|Exception|Throwable)\b.*)$/

/** Lines between an error's name and its first frame: a message of several lines, a code excerpt. */
const LOOK_BACK = 10

/** Lines that begin with `at`: of Java and what runs on its machine, and of JavaScript. */
export const readAtFrames: TraceReader = (lines, at) => {
  if (!FRAME.test(lines[at] ?? '')) return null
  const frames: string[] = []
  let next = at
  for (; next < lines.length; next++) {
    const frame = FRAME.exec(lines[next] ?? '')
    if (frame) frames.push(frame[1] as string)
    else if (!/^\s+\.\.\. \d+ (?:more|common frames omitted|lines matching)/.test(lines[next] ?? '')) break
  }
  const type = JAVA_FRAME.test(frames[0] ?? '') ? 'java_exception' : 'stack_trace'
  return { type, message: messageAbove(lines, at), frames, next }
}

function messageAbove(lines: string[], at: number): string {
  let nearest = ''
  for (let above = at - 1; above >= Math.max(0, at - LOOK_BACK); above--) {
    const line = lines[above] ?? ''
    if (FRAME.test(line)) break
    const error = ERROR.exec(line)
    if (error) return (error[1] as string).trim()
    if (nearest === '') nearest = line.trim()
  }
  return nearest
}
