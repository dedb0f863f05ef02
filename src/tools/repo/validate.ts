import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { parseDiagnostics } from '../toolchain/parse-diagnostics.ts'
import type { Project } from './detect-project.ts'
import { diagnosticsOutput, runForProject, runOutputs, settle } from './project-run.ts'
import type { Run } from './run-plan.ts'
import { BUILD_TARGET, targetArgument } from './target-argument.ts'
import type { Toolchain } from './toolchains/toolchain.ts'

const { command, exit_code, output } = runOutputs

const report = (project: Project, toolchain: Toolchain, run: Run) => ({
  language: project.type,
  build_system: toolchain.build_system(project),
  test_framework: toolchain.test_framework(project),
  command: run.command,
  exit_code: run.exit_code,
  diagnostics: parseDiagnostics(run.output),
  output: run.output,
})

export default defineTool({
  name: 'repo.validate',
  description: `Checks that the repository compiles, without running or keeping anything: go build and the type check of go vet, cargo check,
the npm script "typecheck" or tsc --noEmit (node --check for plain JavaScript), Python's compileall, Maven or Gradle up to the test
classes, CMake, or the C compiler's syntax check. Use it after an edit, before the tests. Code that does not compile ends the call with
execution_failed, with the places in diagnostics. It runs no tests and looks for no style (repo.static_analysis does).`,
  input: z.object({ target: targetArgument(BUILD_TARGET) }),
  output: z.object({
    language: z.string(),
    build_system: z.string(),
    test_framework: z.string(),
    command,
    exit_code,
    ...diagnosticsOutput,
    output,
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  output_limit_kb: 2048,
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'Does it compile?', args: {} }],
  async handler({ target }, context) {
    const ran = await runForProject(
      { target, name: 'validate', plan: (toolchain, request) => toolchain.validate(request), report },
      context,
    )
    return settle('it does not compile', ran, report(ran.project, ran.toolchain, ran.run))
  },
})
