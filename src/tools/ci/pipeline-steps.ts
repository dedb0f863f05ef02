import { z } from 'zod'
import type { Tool, ToolContext, ToolResult } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import type { ToolArtifact } from '../../domain/tool-artifact.ts'

export const stepSchema = z.object({
  name: z.enum(['build', 'static_analysis', 'tests', 'coverage', 'quality_gate']),
  tool: z.string().describe('The tool that the step is.'),
  status: z.enum(['passed', 'failed', 'skipped']),
  exit_code: z.int().nullable(),
  command: z.array(z.string()),
  summary: z.string(),
  output_excerpt: z.string().describe('The end of what was printed; the whole is in the artifacts.'),
})

export type Step = z.infer<typeof stepSchema>

/** What a step came to, with the output of its tool, for the gate to judge. */
export interface StepOutcome {
  step: Step
  output: Record<string, unknown>
  artifacts: ToolArtifact[]
  /** The error that the tool alone would have ended with. */
  error: ToolError | null
}

/** Characters. */
const EXCERPT = 3000

/** Does this say something about the project? A deadline, a cancellation, a lost sandbox do not, and end the pipeline too. */
export function isAnswer(error: ToolError): boolean {
  return error.code === 'execution_failed' || error.code === 'tests_failed'
}

/**
 * Does what another tool does, as a step. That tool may be used is asked as if it were called itself: a pipeline is no way around
 * what a session may not do.
 *
 * @throws CloisterError policy_denied for a target that leads out of what the session may use
 */
export async function runStep(
  name: Step['name'],
  tool: Tool,
  args: Record<string, unknown>,
  context: ToolContext,
): Promise<StepOutcome> {
  const verdict = await context.policy.check(tool.metadata.name, args)
  if (!verdict.allowed || verdict.requires_approval) {
    const why = verdict.allowed ? 'it needs an approval of its own' : verdict.reason
    const error = new ToolError('execution_failed', `${tool.metadata.name} may not be used in this session: ${why}`)
    return outcome(name, tool, {}, [], error)
  }
  context.log(`step ${name}: ${tool.metadata.name}`)
  try {
    // The tool's own schema fills in its defaults.
    const result: ToolResult<Record<string, unknown>> = await tool.handler(tool.input.parse(args), context)
    return outcome(name, tool, result.output, result.artifacts ?? [], null)
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    return outcome(name, tool, error.output ?? {}, error.artifacts, error)
  }
}

/** A step that is not run, and why. */
export function skipped(name: Step['name'], tool: Tool, why: string): Step {
  return { name, tool: tool.metadata.name, status: 'skipped', exit_code: null, command: [], summary: why, output_excerpt: '' }
}

function outcome(
  name: Step['name'],
  tool: Tool,
  output: Record<string, unknown>,
  artifacts: ToolArtifact[],
  error: ToolError | null,
): StepOutcome {
  const printed = typeof output['output'] === 'string' ? output['output'] : ''
  const command = Array.isArray(output['command']) ? (output['command'] as string[]) : []
  const ran = output['exit_code'] !== null
  const step: Step = {
    name,
    tool: tool.metadata.name,
    status: error ? 'failed' : ran ? 'passed' : 'skipped',
    exit_code: typeof output['exit_code'] === 'number' ? output['exit_code'] : null,
    command,
    summary: error?.message ?? (ran ? `${command.join(' ')} ended with exit code 0` : printed.trim().slice(0, 500)),
    output_excerpt: printed.slice(-EXCERPT),
  }
  return { step, output, artifacts, error }
}
