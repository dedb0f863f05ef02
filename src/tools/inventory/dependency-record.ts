import { z } from 'zod'

export const ECOSYSTEMS = ['npm', 'pypi', 'golang', 'cargo', 'maven'] as const
export type Ecosystem = (typeof ECOSYSTEMS)[number]

/** Something that a project uses and somebody else publishes. */
export const dependencySchema = z.object({
  name: z.string().describe('As its ecosystem writes it: "@scope/name" for npm, "group:artifact" for Maven.'),
  version: z.string().nullable().describe('Null: the files do not settle it.'),
  ecosystem: z.enum(ECOSYSTEMS),
  license: z.string().nullable().describe('As the package declares it, mostly an SPDX expression. Null: not known.'),
})

export type Dependency = z.infer<typeof dependencySchema>

/** Names and versions come from files that anybody wrote: longer ones are no names. */
const LONGEST_NAME = 300
const LONGEST_VERSION = 200
const LONGEST_LICENSE = 300
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const UNFIT = /[\s\x00-\x1f\x7f]/

/** Null: this is no name that a package could have. Pure. */
export function dependency(ecosystem: Ecosystem, name: unknown, version: unknown, license: unknown = null): Dependency | null {
  if (typeof name !== 'string' || name === '' || name.length > LONGEST_NAME || UNFIT.test(name)) return null
  const settled = typeof version === 'string' && version !== '' && version.length <= LONGEST_VERSION && !UNFIT.test(version)
  return { name, version: settled ? version : null, ecosystem, license: licenseText(license) }
}

/** What a manifest says of its licence: a text, an object with a type, or (long ago) a list of them. */
export function licenseText(license: unknown): string | null {
  if (Array.isArray(license)) {
    const all = license.slice(0, 10).map(licenseText)
    return all.length > 0 && all.every((each) => each !== null)
      ? all.length === 1
        ? (all[0] ?? null)
        : `(${all.join(' OR ')})`
      : null
  }
  if (typeof license === 'object' && license !== null && Object.hasOwn(license, 'type'))
    return licenseText((license as { type: unknown }).type)
  if (typeof license !== 'string') return null
  const text = license.replace(/\s+/g, ' ').trim()
  return text === '' || text.length > LONGEST_LICENSE ? null : text
}
