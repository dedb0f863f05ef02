import { sha256 } from '../domain/canonical-json.ts'

/** With the connector's name and a dot before it, no name is longer than providers of models take. */
const LONGEST = 64

/**
 * Our names for a server's tools: `<connector>.<words_joined_by_underscores>`. Names that would meet get a number, in the order of the
 * server's names; what is too long is cut, and ends with a digest of itself. Pure, and the same for the same set of names.
 */
export function connectorToolNames(connector: string, names: readonly string[]): Map<string, string> {
  const given = new Map<string, string>()
  const taken = new Set<string>()
  for (const name of names.toSorted()) {
    const base = `${connector}.${fitting(name, LONGEST - connector.length - 1)}`
    let own = base
    for (let n = 2; taken.has(own); n++) own = `${base.slice(0, LONGEST - 4)}_${n}`
    taken.add(own)
    given.set(name, own)
  }
  return given
}

function fitting(name: string, room: number): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
  const word = /^[a-z]/.test(words) ? words : `tool_${words}`.replace(/_$/, '')
  return word.length <= room ? word : `${word.slice(0, room - 9)}_${sha256(name).slice(0, 8)}`
}
