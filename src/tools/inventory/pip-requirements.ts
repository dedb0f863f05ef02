import { type Dependency, dependency } from './dependency-record.ts'

/** Characters. What is longer is no requirement. */
const LONGEST_LINE = 4000
const REQUIREMENT = /^([A-Za-z0-9][A-Za-z0-9._-]*) *(?:\[[^\]]*\])? *(.*)$/
const EXACT = /^\(? *===? *([^\s,;*()]+) *\)?$/

/**
 * A requirements file of pip: `name`, `name==1.0`, `name[extra]>=1; python_version < "3"`, hashes, comments. `includes` are the
 * other files that it names with -r; URLs and paths are left out, as they name no package. Pure.
 */
export function parseRequirements(text: string, most: number): { dependencies: Dependency[]; includes: string[] } {
  const dependencies: Dependency[] = []
  const includes: string[] = []
  for (const joined of text.replace(/\\\r?\n/g, ' ').split(/\r?\n/)) {
    if (dependencies.length >= most) break
    if (joined.length > LONGEST_LINE) continue
    const line = joined.replace(/(?:^| )#.*$/, '').trim()
    const include = /^(?:-r|--requirement)[ =]*(\S+)$/.exec(line)
    if (include?.[1] !== undefined) includes.push(include[1])
    if (line === '' || line.startsWith('-')) continue
    const requirement = REQUIREMENT.exec(line.split(/ --|;/)[0]?.trim() ?? '')
    if (!requirement) continue
    const [, name = '', rest = ''] = requirement
    // "./dir", "x.whl", "git+https://...", "name @ https://...": the last one names a package, and no version.
    if (/[/:]/.test(rest) && !rest.startsWith('@')) continue
    const parsed = dependency('pypi', normalized(name), EXACT.exec(rest)?.[1])
    if (parsed) dependencies.push(parsed)
  }
  return { dependencies, includes }
}

/** As PEP 503 compares names. */
export function normalized(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-')
}

/** Name, version and licence from the METADATA of an installed distribution (core metadata, RFC 822 headers). Pure. */
export function parseMetadata(text: string): Dependency | null {
  const headers = new Map<string, string>()
  const classifiers: string[] = []
  for (const line of text.split(/\r?\n/)) {
    if (line === '') break
    const header = /^([A-Za-z-]{1,60}): (.*)$/.exec(line.slice(0, 1000))
    if (!header) continue
    const [, key = '', value = ''] = header
    if (key === 'Classifier') classifiers.push(value)
    else if (!headers.has(key)) headers.set(key, value)
  }
  const named = classifiers
    .filter((each) => each.startsWith('License :: OSI Approved :: '))
    .map((each) => each.slice('License :: OSI Approved :: '.length))
  const declared = headers.get('License')
  const license = headers.get('License-Expression') ?? (declared && declared !== 'UNKNOWN' ? declared : undefined) ?? named[0]
  return dependency('pypi', normalized(headers.get('Name') ?? ''), headers.get('Version'), license)
}
