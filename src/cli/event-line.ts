import type { Event } from '../client/cloister-client.ts'
import { argsLine, cut } from './render.ts'
import { plainLine } from './terminal-text.ts'

/** One event on one line: number, time, type, who, and what. */
export function eventLine(event: Event): string {
  const data = argsLine(event.data, 48)
  const line = `${String(event.seq).padStart(4)}  ${event.at.slice(11, 23)}  ${event.type.padEnd(22)}  ${event.actor.kind}:${event.actor.id}  ${data}`
  return plainLine(cut(line, 220))
}
