import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { errors } from '../../../domain/errors.ts'

const pattern = z
  .string()
  .max(1000)
  .transform((source, context) => {
    try {
      return new RegExp(source, 'iu')
    } catch (error) {
      context.addIssue({ code: 'custom', message: `not a regular expression: ${(error as Error).message}` })
      return z.NEVER
    }
  })

const stepSchema = z
  .object({
    when: pattern.optional(),
    expect: z
      .object({
        tool: z.string().optional(),
        status: z.enum(['succeeded', 'failed', 'denied', 'not_called', 'interrupted']).optional(),
        result: pattern.optional(),
      })
      .strict()
      .optional(),
    say: z.string().max(10_000).default(''),
    call: z
      .array(z.object({ tool: z.string(), args: z.record(z.string(), z.unknown()).default({}) }).strict())
      .max(32)
      .default([]),
  })
  .strict()
  .refine((step) => step.say !== '' || step.call.length > 0, 'a step says something or calls something')

const scriptSchema = z
  .object({
    $comment: z.string().optional(),
    chunk_delay_ms: z.number().int().min(0).max(5000).default(0),
    steps: z.array(stepSchema).min(1).max(200),
  })
  .strict()

/**
 * A script for the provider `scripted`, one JSON file:
 *
 *     {
 *       "$comment": "what it shows",
 *       "chunk_delay_ms": 20,                              between chunks of text; default 0
 *       "steps": [
 *         {"when": "make the tests pass",                  regex (flags iu) on the user's last message; absent: any
 *          "say": "I run the tests.",                      text
 *          "call": [{"tool": "repo.run_tests", "args": {}}]},   canonical tool names
 *         {"when": "make the tests pass",
 *          "expect": {"tool": "repo.run_tests", "status": "failed", "result": "regex on the result's JSON"},
 *          "say": "{{output.failed}} tests fail."},        `{{path}}`: a field of the last result, as JSON
 *         {"when": "make the tests pass", "say": "They pass."}
 *       ]
 *     }
 *
 * Of the steps whose `when` fits, each answer is the first one after the step played last whose `expect` fits. Without `expect` it
 * always fits. `expect` looks at the results of the previous answer: at the last result of `tool` (it must be there), or, without
 * `tool`, at the last result. A step without `call` ends the turn. When no step fits, the script says so, says what the last call
 * came to, and stops. Fields that are unknown are refused.
 */
export type Script = z.output<typeof scriptSchema>
export type ScriptStep = Script['steps'][number]

/** @throws CloisterError invalid_argument with path and reason */
export function parseScript(name: string, text: string): Script {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw errors.invalidArgument(`the script ${name} is not JSON: ${(error as SyntaxError).message}`)
  }
  const parsed = scriptSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), reason: issue.message }))
  throw errors.invalidArgument(`the script ${name} cannot be used: ${issues[0]?.path || 'top'}: ${issues[0]?.reason}`, issues)
}

/**
 * Reads `<name>.json` from the folder, else from what is shipped. The name is a plain file name: no path comes in by it.
 * @throws CloisterError invalid_argument when there is none, or it cannot be used
 */
export function loadScript(name: string, folder: string | null): Script {
  if (!/^[a-z0-9][a-z0-9_-]{0,63}$/.test(name))
    throw errors.invalidArgument(
      `${JSON.stringify(name)} is no script's name: lower-case letters, digits, "_" and "-", at most 64`,
    )
  for (const directory of [folder, import.meta.dirname]) {
    if (directory === null) continue
    let text: string
    try {
      text = readFileSync(join(directory, `${name}.json`), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw errors.invalidArgument(`the script ${name} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
    }
    return parseScript(name, text)
  }
  throw errors.invalidArgument(
    `there is no script ${name}: put ${name}.json into the folder named by CLOISTER_SCRIPTS, or use scripted/default`,
  )
}
