import type { ToolMetadata } from '../../domain/tool.ts'
import type { ToolStatistics } from '../../domain/tool-statistics.ts'
import { recordParts, type ScorePart } from './record-parts.ts'

export interface RankedTool {
  tool: ToolMetadata
  /** Two decimals; comparable within one answer only. */
  score: number
  /** What the score is made of: words, what is worth most first, then what the record takes away. */
  why: string
}

/** What a word is worth where it is found, before its rarity counts. */
const WORTH = { name: 4, family: 2, example: 1.5, argument: 1, description: 1 } as const
type Place = keyof typeof WORTH

/** A word that only means something alike counts so much less. */
const RELATED = 0.5

/** Words for what tools call otherwise. */
const ALIKE: Record<string, string[]> = {
  append: ['insert'],
  author: ['blame'],
  bring: ['pull', 'fetch'],
  cat: ['read'],
  change: ['edit', 'diff'],
  compile: ['build'],
  create: ['write', 'mkdir'],
  directory: ['list', 'mkdir', 'tree'],
  download: ['read', 'fetch'],
  execute: ['exec', 'run'],
  find: ['search', 'glob'],
  folder: ['mkdir', 'list'],
  grep: ['search'],
  history: ['log'],
  kill: ['stop'],
  look: ['read', 'list'],
  modify: ['edit'],
  open: ['read'],
  print: ['read'],
  publish: ['push'],
  remove: ['delete'],
  rename: ['move'],
  replace: ['edit'],
  revert: ['undo'],
  rollback: ['undo'],
  save: ['write', 'commit'],
  send: ['push'],
  show: ['read', 'list'],
  switch: ['checkout'],
  update: ['edit', 'pull'],
  view: ['read'],
  vulnerability: ['security'],
}

const STOP_WORDS = new Set(
  'a all an and any are as at be by can do does for from give has have how i if in into is it its me my need not of on or our out please so that the their them then there this to up use want was we what when where which who will with you your'.split(
    ' ',
  ),
)

/**
 * Ranks tools by the words that a task shares with them: rare words say more than common ones, and a tool's own name more than its
 * description. A poor record takes points away. The same question, catalog and record give the same answer. Tools that share no word
 * are left out.
 */
export function rankTools(
  task: string,
  tools: ToolMetadata[],
  statistics: ReadonlyMap<string, ToolStatistics> = new Map(),
): RankedTool[] {
  const wanted = [...new Set(words(task))]
  const indexed = tools.map((tool) => ({ tool, places: placesOf(tool) }))
  const rarity = (word: string) => {
    const known = indexed.filter(({ places }) => places.has(word)).length
    return Math.log(1 + tools.length / Math.max(1, known))
  }
  return indexed
    .flatMap(({ tool, places }) => {
      const parts = wanted.flatMap((word) => best(word, places, rarity) ?? [])
      if (parts.length === 0) return []
      parts.sort((a, b) => b.points - a.points || (a.text < b.text ? -1 : 1))
      parts.push(...recordParts(sumOf(parts), statistics.get(tool.name)))
      const score = round(sumOf(parts))
      return [{ tool, score, why: parts.map(({ text, points }) => `${text} ${round(points)}`).join(', ') }]
    })
    .sort((a, b) => b.score - a.score || risk(a.tool) - risk(b.tool) || (a.tool.name < b.tool.name ? -1 : 1))
}

function sumOf(parts: ScorePart[]): number {
  return parts.reduce((sum, { points }) => sum + points, 0)
}

/** The most that one word of the task is worth for a tool. */
function best(word: string, places: Map<string, Place>, rarity: (word: string) => number): ScorePart | null {
  const found = (known: string, text: string, factor: number): ScorePart | null => {
    const place = places.get(known)
    return place ? { text: `${place}: ${text}`, points: WORTH[place] * rarity(known) * factor } : null
  }
  const parts = [
    found(word, word, 1),
    ...(RELATED_STEMS.get(word) ?? []).map((other) => found(other, `${word} (like ${other})`, RELATED)),
  ].filter((part) => part !== null)
  return parts.toSorted((a, b) => b.points - a.points)[0] ?? null
}

/** Every word of a tool, with the place where it is worth most. */
function placesOf(tool: ToolMetadata): Map<string, Place> {
  const places = new Map<string, Place>()
  const texts: [Place, string][] = [
    ['name', tool.name.slice(tool.family.length + 1)],
    ['family', tool.family],
    ['example', tool.examples.map(({ title }) => title).join(' ')],
    ['argument', Object.keys((tool.input_schema['properties'] ?? {}) as object).join(' ')],
    ['description', tool.description],
  ]
  for (const [place, text] of texts) for (const word of words(text)) if (!places.has(word)) places.set(word, place)
  return places
}

function words(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => word.length > 1 && !STOP_WORDS.has(word)).map(stem)
}

/** Enough of English that "searches", "searching" and "search" are one. */
function stem(word: string): string {
  const plain = word.length > 4 && word.endsWith('ies') ? `${word.slice(0, -3)}y` : word
  const cut = plain.replace(/^(.{4,})ing$|^(.{3,}[^e])ed$|^(.{3,}(?:ch|sh|x|ss))es$|^(.{2,}[^su])s$/, '$1$2$3$4')
  return cut.length > 3 && cut.endsWith('e') ? cut.slice(0, -1) : cut
}

const RELATED_STEMS = new Map(Object.entries(ALIKE).map(([word, others]) => [stem(word), others.map(stem)]))

function risk(tool: ToolMetadata): number {
  return ['low', 'medium', 'high'].indexOf(tool.risk_level)
}

function round(points: number): number {
  return Math.round(points * 100) / 100
}
