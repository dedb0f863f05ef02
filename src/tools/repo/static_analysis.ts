import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { parseDiagnostics } from '../toolchain/parse-diagnostics.ts'
import type { Project } from './detect-project.ts'
import { diagnosticsOutput, runForProject, runOutputs, runReport, settle } from './project-run.ts'
import type { Run } from './run-plan.ts'
import { BUILD_TARGET, targetArgument } from './target-argument.ts'

const report = (project: Project, run: Run) => ({ ...runReport(project, run), diagnostics: parseDiagnostics(run.output) })

export default defineTool({
  name: 'repo.static_analysis',
  description: `Looks for faults without running the code, by what the project's toolchain has: go vet, cargo clippy, the npm script "lint",
Python's compileall, the warnings of javac, or cc -fsyntax-only with all warnings. Returns what was found as diagnostics with path, line
and severity. A command that does not end with 0 (most do so for errors, not for warnings) ends the call with execution_failed and the
same output. It changes no source and installs no linter.`,
  input: z.object({ target: targetArgument(BUILD_TARGET) }),
  output: z.object({ ...runOutputs, ...diagnosticsOutput }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'What is wrong here?', args: {} }],
  async handler({ target }, context) {
    const ran = await runForProject(
      {
        target,
        name: 'static-analysis',
        plan: (toolchain, request) => toolchain.analyse(request),
        report: (project, _, run) => report(project, run),
      },
      context,
    )
    return settle('the analysis found faults, or could not be done', ran, report(ran.project, ran.run))
  },
})
