import { type Dependency, dependency } from './dependency-record.ts'

/** How deep elements of interest lie, with room to spare. */
const DEEPEST = 64
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
/** How often a property may name another one. */
const SUBSTITUTIONS = 5

/** Text of the elements, by the path of their names. */
type Visit = (path: readonly string[], text: string) => void

/**
 * The dependencies that a pom.xml names itself, with properties and managed versions of the same file filled in; parents and
 * imported poms are other files, and are not read. Of XML only elements and text are: declarations and their entities are skipped,
 * so that none is ever expanded. Null: it is no pom. Pure.
 */
export function parsePom(text: string, most: number): Dependency[] | null {
  const properties = new Map<string, string>()
  const managed = new Map<string, string>()
  const used: Map<string, string>[] = []
  let current = new Map<string, string>()
  let isPom = false
  walk(text, {
    open: (path) => {
      if (path[0] === 'project') isPom = true
      if (path.at(-1) === 'dependency') current = new Map()
    },
    text: (path, value) => {
      if (path.length === 3 && path[1] === 'properties') properties.set(path[2] as string, value)
      if (path.length === 2 && path[1] === 'version') properties.set('project.version', value)
      if (path.length === 2 && path[1] === 'groupId') properties.set('project.groupId', value)
      if (path.at(-2) === 'dependency') current.set(path.at(-1) as string, value)
    },
    close: (path) => {
      const where = path.join('/')
      if (where === 'project/dependencies/dependency' && used.length < most) used.push(current)
      if (where === 'project/dependencyManagement/dependencies/dependency')
        managed.set(`${current.get('groupId')}:${current.get('artifactId')}`, current.get('version') ?? '')
    },
  })
  if (!isPom) return null
  const filled = (value: string | undefined) => fill(value, properties)
  return used.flatMap((entry) => {
    const key = `${entry.get('groupId')}:${entry.get('artifactId')}`
    const parsed = dependency(
      'maven',
      `${filled(entry.get('groupId')) ?? ''}:${filled(entry.get('artifactId')) ?? ''}`,
      filled(entry.get('version') ?? managed.get(key)),
    )
    return parsed && /^[^:]+:[^:]+$/.test(parsed.name) ? [parsed] : []
  })
}

/** Null: a property is used that this file does not define. */
function fill(value: string | undefined, properties: Map<string, string>): string | null {
  let text = value ?? ''
  for (let n = 0; n < SUBSTITUTIONS && text.includes('${') && text.length < 1000; n++)
    text = text.replace(/\$\{([\w.-]{1,100})\}/g, (whole, name: string) => properties.get(name) ?? whole)
  return text === '' || text.includes('${') ? null : text
}

function walk(
  xml: string,
  visit: { open: (path: readonly string[]) => void; text: Visit; close: (path: readonly string[]) => void },
): void {
  const path: string[] = []
  let text = ''
  let at = 0
  while (at < xml.length) {
    const open = xml.indexOf('<', at)
    text += xml.slice(at, open === -1 ? xml.length : open)
    if (open === -1) return
    const end = endOfMarkup(xml, open)
    if (end === -1) return
    const markup = xml.slice(open + 1, end)
    at = end + 1
    if (markup.startsWith('![CDATA[')) text += markup.slice('![CDATA['.length, -2)
    if (markup.startsWith('!') || markup.startsWith('?')) continue
    if (markup.startsWith('/')) {
      if (text.trim() !== '') visit.text(path, decode(text.trim()))
      visit.close(path)
      path.pop()
    } else {
      const name = /^[\w:.-]+/.exec(markup)?.[0]
      if (name === undefined || path.length >= DEEPEST) return
      path.push(name)
      visit.open(path)
      if (markup.endsWith('/')) {
        visit.close(path)
        path.pop()
      }
    }
    text = ''
  }
}

/** Where the markup that begins here ends. -1: nowhere. A declaration with a part in brackets ends after them. */
function endOfMarkup(xml: string, open: number): number {
  const ending = (mark: string) => {
    const at = xml.indexOf(mark, open)
    return at === -1 ? -1 : at + mark.length - 1
  }
  if (xml.startsWith('<!--', open)) return ending('-->')
  if (xml.startsWith('<![CDATA[', open)) return ending(']]>')
  const plain = ending('>')
  if (!xml.startsWith('<!DOCTYPE', open) || plain === -1 || !xml.slice(open, plain).includes('[')) return plain
  const bracket = xml.indexOf(']', open)
  return bracket === -1 ? -1 : xml.indexOf('>', bracket)
}

function decode(text: string): string {
  return text
    .slice(0, 1000)
    .replace(/&(\w{1,8});/g, (whole, name: string) => (Object.hasOwn(ENTITIES, name) ? (ENTITIES[name] as string) : whole))
}
