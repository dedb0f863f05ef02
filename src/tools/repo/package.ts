import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import type { Project } from './detect-project.ts'
import { runForProject, runOutputs, runReport, settle } from './project-run.ts'
import type { Run } from './run-plan.ts'
import { targetArgument } from './target-argument.ts'

const report = (project: Project, run: Run, artifact_path: string | null) => ({ ...runReport(project, run), artifact_path })

export default defineTool({
  name: 'repo.package',
  description: `Makes what one would ship of the repository, in the workspace: a program in .workspace-dist/app for go, a release build or a
.crate for rust, an archive of npm pack, a Python wheel, a jar of Maven or Gradle, what CMake or make install. Returns its path; to keep
it outside the sandbox use artifact.upload. A failure ends the call with execution_failed. It publishes nothing, runs no tests, and
installs no dependencies.`,
  input: z.object({
    target: targetArgument(
      'Only this: a package with a main for go, a package of the workspace for rust, a directory for node and python, a module for java, a CMake or make target or a .c file for c.',
    ),
  }),
  output: z.object({
    ...runOutputs,
    artifact_path: z.string().nullable().describe('File or directory that was made. Null: nothing was.'),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 300,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'Something to ship', args: {} }],
  async handler({ target }, context) {
    const ran = await runForProject(
      {
        target,
        name: 'package',
        plan: (toolchain, request) => toolchain.package(request),
        report: (project, _, run) => report(project, run, null),
      },
      context,
    )
    const made = ran.run.exit_code === 0 ? await ran.plan.findArtifact(ran.run.output) : null
    return settle('nothing was packed', ran, report(ran.project, ran.run, made))
  },
})
