import { z } from 'zod'
import { errors } from '../../domain/errors.ts'
import type { ProjectType } from './detect-project.ts'

/** What a caller may add to a toolchain's command. `-run=` stands for that option with any value. */
const ALLOWED: Record<ProjectType, string[]> = {
  go: ['-v', '-race', '-short', '-run=', '-count=', '-timeout='],
  python: ['-q', '-v', '-x', '-k=', '--maxfail='],
  rust: ['--release', '--lib', '--bins', '--tests', '--quiet'],
  java: ['-q', '-Dtest='],
  node: [],
  c: [],
  unknown: [],
}

/** What the compiler's commands take of these; the rest is for test runners. */
const ALLOWED_IN_BUILD: Record<ProjectType, string[]> = {
  ...ALLOWED,
  go: ['-v', '-race'],
  python: ['-q'],
  java: ['-q'],
}

export type ExtraArgsPurpose = 'test' | 'build'

/** For policy, which does not know what kind of project it is. */
export function anyExtraArg(purpose: ExtraArgsPurpose): string[] {
  return [...new Set(Object.values(listsFor(purpose)).flat())]
}

export function extraArgsArgument(purpose: ExtraArgsPurpose) {
  const lists = Object.entries(listsFor(purpose)).filter(([, allowed]) => allowed.length > 0)
  return z
    .array(z.string().min(1).max(64))
    .max(8)
    .default([])
    .describe(
      `More arguments for the ${purpose === 'test' ? 'runner' : 'compiler'}. Accepted: ${lists.map(([type, allowed]) => `${type} ${allowed.join(' ')}`).join('; ')}.`,
    )
}

/** @throws CloisterError policy_denied, naming what this toolchain accepts */
export function checkExtraArgs(type: ProjectType, args: string[], purpose: ExtraArgsPurpose): void {
  const allowed = listsFor(purpose)[type]
  for (const arg of args) {
    if (allowed.some((option) => (option.endsWith('=') ? arg.startsWith(option) && arg.length > option.length : arg === option)))
      continue
    const accepted = allowed.length > 0 ? `it accepts ${allowed.join(' ')}` : 'it accepts none'
    throw errors.policyDenied(
      'command_args',
      `extra_args: ${JSON.stringify(arg)} is not for a project of type ${type}: ${accepted}`,
    )
  }
}

function listsFor(purpose: ExtraArgsPurpose): Record<ProjectType, string[]> {
  return purpose === 'test' ? ALLOWED : ALLOWED_IN_BUILD
}
