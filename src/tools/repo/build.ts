import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { parseDiagnostics } from '../toolchain/parse-diagnostics.ts'
import type { Project } from './detect-project.ts'
import { anyExtraArg, extraArgsArgument } from './extra-args.ts'
import { diagnosticsOutput, runForProject, runOutputs, runReport, settle } from './project-run.ts'
import type { Run } from './run-plan.ts'
import { BUILD_TARGET, targetArgument } from './target-argument.ts'

const report = (project: Project, run: Run) => ({
  ...runReport(project, run),
  diagnostics: parseDiagnostics(run.output),
})

export default defineTool({
  name: 'repo.build',
  description: `Builds the repository with its own toolchain, told by the files at the root: go build, cargo build, the npm script "build",
byte-compilation for Python, Maven or Gradle, CMake, make, or the C compiler. Returns the output and the errors and warnings found in it;
a build that fails ends the call with execution_failed and the same output. It installs no dependencies and runs no tests; to only check
that it compiles use repo.validate, for something to ship repo.package.`,
  input: z.object({ target: targetArgument(BUILD_TARGET), extra_args: extraArgsArgument('build') }),
  output: z.object({ ...runOutputs, ...diagnosticsOutput }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 240,
  output_limit_kb: 2048,
  policy: {
    paths: [{ field: 'target', access: 'read' }],
    command_args: [{ field: 'extra_args', allow: anyExtraArg('build') }],
    whole_repository: true,
  },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'Build it', args: {} }],
  async handler({ target, extra_args }, context) {
    const built = await runForProject(
      {
        target,
        extra_args,
        name: 'build',
        plan: (toolchain, request) => toolchain.build(request),
        report: (project, _, run) => report(project, run),
      },
      context,
    )
    return settle('the build failed', built, report(built.project, built.run))
  },
})
