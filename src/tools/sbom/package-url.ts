import type { Dependency } from '../inventory/dependency-record.ts'

/** Parts of a package's name, as CycloneDX and package URLs want them. */
export interface PackageName {
  /** Empty: it has none. */
  group: string
  name: string
}

/** Pure. */
export function packageName({ ecosystem, name }: Pick<Dependency, 'ecosystem' | 'name'>): PackageName {
  const separator = ecosystem === 'maven' ? ':' : '/'
  const at = ecosystem === 'maven' || name.startsWith('@') ? name.indexOf(separator) : -1
  return at === -1 ? { group: '', name } : { group: name.slice(0, at), name: name.slice(at + 1) }
}

/** The package URL (https://github.com/package-url/purl-spec): `pkg:npm/%40scope/name@1.0.0`. Pure. */
export function packageUrl(dependency: Pick<Dependency, 'ecosystem' | 'name' | 'version'>): string {
  const { ecosystem, version } = dependency
  const { group, name } = packageName(dependency)
  // Of Go the path of the module is namespace and name.
  const path = [...(group === '' ? [] : [group]), ...(ecosystem === 'golang' ? name.split('/') : [name])]
  const encoded = path.map((part) => encode(ecosystem === 'golang' ? part.toLowerCase() : part)).join('/')
  return `pkg:${ecosystem}/${encoded}${version === null ? '' : `@${encode(version)}`}`
}

/** Percent-encoding; of what need not be encoded, the colon stays. */
function encode(part: string): string {
  return encodeURIComponent(part.toWellFormed())
    .replaceAll('%3A', ':')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
