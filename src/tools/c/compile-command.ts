import { z } from 'zod'
import type { ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { findCSources } from '../repo/detect-project.ts'
import { DIST, prepareDirectory } from '../repo/toolchains/toolchain.ts'
import { outputNameArgument, pathTargetArgument, requireTarget } from '../toolchain/toolchain-target.ts'

const MOST_SOURCES = 500

/** As compilers call them; the last one by its working name, which older compilers know too. */
const STANDARDS = { c89: 'c89', c99: 'c99', c11: 'c11', c17: 'c17', c23: 'c2x' } as const

export function compileArguments(program: string) {
  return {
    source: pathTargetArgument('One C source (.c) with a main. Default: all sources up to three levels below the root together.')
      .max(1024)
      .optional(),
    output_name: outputNameArgument().default(program).describe('The file name of the program in .workspace-dist.'),
    standard: z.enum(['c89', 'c99', 'c11', 'c17', 'c23']).default('c11').describe('The language standard.'),
  }
}

/**
 * The command that compiles, and the program that comes of it.
 *
 * @throws ToolError invalid_argument for what is no C source; execution_failed when there is none; not_found
 */
export async function planCompile(
  { source, output_name, standard }: { source?: string | undefined; output_name: string; standard: keyof typeof STANDARDS },
  context: ToolContext,
): Promise<{ command: string[]; program: string }> {
  const sources = source === undefined ? await findCSources(context.sandbox, MOST_SOURCES) : [await oneSource(source, context)]
  if (sources.length === 0)
    throw new ToolError('execution_failed', 'no C source within three levels of the root: name one by source')
  await prepareDirectory(context, DIST)
  const program = `${DIST}/${output_name}`
  // "./" so that no name is taken for an option.
  const named = sources.map((path) => (path.startsWith('/') ? path : `./${path}`))
  return { command: ['cc', '-Wall', '-Wextra', `-std=${STANDARDS[standard]}`, '-I.', '-o', program, ...named], program }
}

async function oneSource(source: string, { sandbox }: ToolContext): Promise<string> {
  // The program goes to the root's own directory.
  await requireTarget(sandbox, '.')
  if ((await requireTarget(sandbox, source)) !== 'file' || !source.endsWith('.c'))
    throw new ToolError('invalid_argument', `source ${JSON.stringify(source)} is not a C source: name a .c file`)
  return source
}
