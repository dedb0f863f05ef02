import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { anyExtraArg } from './extra-args.ts'
import { parseStackTraces } from './stack-traces/parse-stack-traces.ts'
import { stackTraceSchema } from './stack-traces/stack-trace.ts'
import { sourceArguments, sourceOutputs, type TestOutput, testOutputFrom } from './test-output-source.ts'

export default defineTool({
  name: 'repo.stacktrace_summary',
  description: `Finds the stack traces in what a program or a test runner printed: panics and fatal errors of Go, tracebacks of Python (also as
pytest shows them), exceptions of Java, panics of Rust, errors of JavaScript, each with its message and frames. Give output to have it
read, up to 1 MiB; without it the tests are run, and tests that fail are no error here. No trace is a success with trace_count 0. It does
not explain a trace, and reads no source.`,
  input: z.object({
    ...sourceArguments,
    max_traces: z.int().min(1).max(50).default(10).describe('At most this many traces.'),
    max_frames: z.int().min(1).max(80).default(20).describe('At most this many frames of each.'),
  }),
  output: z.object({
    ...sourceOutputs,
    trace_count: z.int().describe('Also of the traces that were left out.'),
    stacktraces: z.array(stackTraceSchema),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 180,
  output_limit_kb: 2048,
  policy: {
    paths: [{ field: 'target', access: 'read' }],
    command_args: [{ field: 'extra_args', allow: anyExtraArg('test') }],
    whole_repository: true,
  },
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [
    { title: 'Run the tests and find what crashes', args: {} },
    { title: 'Read an output', args: { output: 'panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:5 +0x1d\n' } },
  ],
  async handler({ max_traces, max_frames, ...args }, context) {
    const report = ({ project_type, source, command, exit_code, output }: TestOutput) => {
      const { traces, count } = parseStackTraces(output, { traces: max_traces, frames: max_frames })
      return { project_type, source, command, exit_code, trace_count: count, stacktraces: traces }
    }
    const { found, artifacts } = await testOutputFrom(args, context, report)
    const output = report(found)
    return { output, exit_code: found.exit_code, artifacts, truncated: output.trace_count > output.stacktraces.length }
  },
})
