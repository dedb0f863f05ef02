import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What Cloister does out of the box, as text. */
export const DEFAULT_POLICIES = fileURLToPath(new URL('./default', import.meta.url))

/** Bytes of all policies of a set together. */
const LARGEST = 4 * 1024 * 1024

export interface PolicyFile {
  /** Without its folder. */
  name: string
  text: string
}

/** What is wrong with a set of policies, and where. `message` has a line for each. */
export class PolicySetError extends Error {
  readonly problems: readonly PolicyProblem[]

  constructor(problems: readonly PolicyProblem[]) {
    super(problems.map(describeProblem).join('\n'))
    this.name = 'PolicySetError'
    this.problems = problems
  }
}

export interface PolicyProblem {
  /** Null: it concerns the folder. */
  file: string | null
  /** From 1. */
  line: number | null
  reason: string
}

export function describeProblem({ file, line, reason }: PolicyProblem): string {
  return `${file === null ? '' : `${file}${line === null ? '' : `:${line}`}: `}${reason}`
}

/** Folder in the folder of policies, for those about what is said. */
const MESSAGES = 'messages'

/**
 * The `*.cedar` files about what is said, named with their folder. Null: there is no such folder, so nobody has anything against it.
 * @throws PolicySetError
 */
export function readMessagePolicies(folder: string): PolicyFile[] | null {
  const inside = join(folder, MESSAGES)
  if (!existsSync(inside)) return null
  return readPolicyFolder(inside).map(({ name, text }) => ({ name: `${MESSAGES}/${name}`, text }))
}

/**
 * The `*.cedar` files of a folder, by name. Folders in it are not looked into.
 * @throws PolicySetError when it cannot be read, or holds none: no policies would deny everything, which nobody means
 */
export function readPolicyFolder(folder: string): PolicyFile[] {
  const problem = (reason: string, file: string | null = null) => new PolicySetError([{ file, line: null, reason }])
  let names: string[]
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.cedar'))
  } catch (error) {
    throw problem(`the policy folder ${folder} cannot be read: ${(error as Error).message}`)
  }
  if (names.length === 0) throw problem(`the policy folder ${folder} holds no *.cedar file`)
  let bytes = 0
  return names.sort().map((name) => {
    try {
      bytes += statSync(join(folder, name)).size
      if (bytes > LARGEST) throw new Error(`the policies are larger than ${LARGEST} bytes together`)
      return { name, text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(join(folder, name))) }
    } catch (error) {
      throw problem(`it cannot be read: ${(error as Error).message}`, name)
    }
  })
}
