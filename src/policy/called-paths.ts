import { posix } from 'node:path'
import { patchPaths } from '../domain/patch-paths.ts'
import { displayPath, resolvePath } from '../domain/path.ts'
import type { ToolMetadata } from '../domain/tool.ts'
import { strings } from './string-arguments.ts'

/** More entries than this are refused: a patch of so many files is looked at by nobody, and each costs time. */
const MOST_ENTRIES = 20_000

/**
 * The paths that a call names, as policies see them: relative to the workspace (`src/a.ts`, `.` is the workspace itself), absolute
 * under `/session/data`. Lexical: where symlinks lead is settled by host.
 */
export interface CalledPaths {
  /** What it names, and every directory above: `touched` holds `src` exactly when something that the call names is, or lies in, `src`. */
  touched: string[]
  /** The same of what it would write. */
  written: string[]
  /**
   * What it may change with everything below: each path as the call names it, without those above, and `.` when it may write
   * anywhere. Whoever protects `a/b` looks here for `a` and `.`, which `written` cannot tell from what merely lies beside `a/b`.
   */
  written_whole: string[]
  /** The deepest path that all it names is or lies in. Null: it names nothing. */
  touched_root: string | null
  written_root: string | null
}

/** Paths that policy cannot judge. Never shown to a policy: the call is refused. */
export class UnjudgedPaths extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UnjudgedPaths'
  }
}

/**
 * Pure. A tool that works on the whole repository names `.`, and writes it when it has side effects. So does one whose arguments do
 * not say what it writes: because they never do, or because this call leaves them out.
 * @throws UnexpectedArgument, UnjudgedPaths
 */
export function calledPaths(tool: ToolMetadata, args: Record<string, unknown>): CalledPaths {
  const read: string[] = []
  const written: string[] = []
  for (const { field, access } of tool.policy.paths) {
    const named = strings(args, field).map(shown)
    if (access === 'write') written.push(...named)
    else read.push(...named)
  }
  for (const field of tool.policy.patches) {
    for (const patch of strings(args, field)) {
      const parsed = patchPaths(patch)
      if ('error' in parsed) throw new UnjudgedPaths(`${field}: ${parsed.error}`)
      written.push(...parsed.paths.map(shown))
    }
  }
  if (tool.policy.whole_repository) read.push('.')
  if (tool.side_effects !== 'none' && (mayWriteAnywhere(tool) || (declaresWrites(tool) && written.length === 0)))
    written.push('.')
  const touched = [...read, ...written]
  return {
    touched: withAncestors(touched),
    written: withAncestors(written),
    written_whole: [...new Set(written)].sort(),
    touched_root: commonRoot(touched),
    written_root: commonRoot(written),
  }
}

function mayWriteAnywhere({ policy }: ToolMetadata): boolean {
  return policy.whole_repository || policy.writes_anywhere
}

function declaresWrites({ policy }: ToolMetadata): boolean {
  return policy.patches.length > 0 || policy.paths.some(({ access }) => access === 'write')
}

/** Could a policy ever see this path? One that is written otherwise (`infra/`, `./infra`) would never be found. */
export function isShownPath(path: string): boolean {
  if (path === '/' || path === '/session') return true
  const verdict = resolvePath(path)
  return verdict.ok && displayPath(verdict.path) === path
}

function shown(path: string): string {
  const verdict = resolvePath(path)
  if (!verdict.ok) throw new UnjudgedPaths(verdict.reason)
  return displayPath(verdict.path)
}

/** `a/b` -> `a/b`, `a`, `.`. */
function chain(path: string): string[] {
  const above: string[] = []
  for (let at = path; ; at = posix.dirname(at)) {
    above.push(at)
    if (at === '.' || at === '/' || at === posix.dirname(at)) return above
  }
}

function withAncestors(paths: string[]): string[] {
  const all = new Set<string>()
  for (const path of new Set(paths)) {
    for (const each of chain(path)) all.add(each)
    if (all.size > MOST_ENTRIES) throw new UnjudgedPaths(`the call names more paths than policy looks at (${MOST_ENTRIES})`)
  }
  return [...all].sort()
}

function commonRoot(paths: string[]): string | null {
  const [first, ...rest] = new Set(paths)
  if (first === undefined) return null
  let common = chain(first)
  for (const path of rest) {
    const above = new Set(chain(path))
    common = common.filter((each) => above.has(each))
  }
  // `a` in the workspace and `/session/data/b` have nothing in common that a policy could name.
  return common[0] ?? '/'
}
