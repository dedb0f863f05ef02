import { z } from 'zod'

/** A package of the workspace by its name, and nothing else that cargo would take there (a URL, a pattern). */
export function packageArgument() {
  return z
    .string()
    .max(64)
    .regex(/^[A-Za-z_][A-Za-z0-9_-]*$/, 'must be the name of a package: letters, digits, "_" and "-"')
    .optional()
    .describe('Only this package of the workspace, by its name in Cargo.toml.')
}

export function packageOption(target: string | undefined): string[] {
  return target === undefined ? [] : ['--package', target]
}
