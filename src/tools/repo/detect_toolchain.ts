import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { detectProject } from './detect-project.ts'
import { toolchainOf } from './toolchains/toolchain-of.ts'

const CONTAINER_FILES = ['Dockerfile', 'Containerfile']

export default defineTool({
  name: 'repo.detect_toolchain',
  description: `Tells what the repository is written in and what builds and tests it, by the files at its root (as
repo.detect_project_type): the toolchain that repo.build, repo.validate, repo.run_tests and the others here go by. It reads names only,
starts nothing, and does not say whether the toolchain is installed in the sandbox.`,
  input: z.object({}),
  output: z.object({
    language: z.enum(['go', 'rust', 'node', 'python', 'java', 'c', 'unknown']),
    build_system: z.string().describe('go-mod, cargo, npm, pip, maven, gradle, cmake, make, cc, or unknown.'),
    test_framework: z.string().describe('testing, cargo-test, npm-test, pytest, junit, ctest, make-test, native, or unknown.'),
    containerizable: z
      .boolean()
      .describe('There is a Dockerfile or Containerfile, or the language is known, so that one could be written.'),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 20,
  policy: { whole_repository: true },
  errors: [],
  examples: [{ title: 'What builds this?', args: {} }],
  async handler(_, { sandbox }) {
    const project = await detectProject(sandbox)
    const hasFile = CONTAINER_FILES.some((name) => project.root.has(name))
    if (project.type === 'unknown')
      return {
        output: { language: 'unknown' as const, build_system: 'unknown', test_framework: 'unknown', containerizable: hasFile },
      }
    const toolchain = toolchainOf(project)
    return {
      output: {
        language: project.type as Exclude<typeof project.type, 'unknown'>,
        build_system: toolchain.build_system(project),
        test_framework: toolchain.test_framework(project),
        containerizable: true,
      },
    }
  },
})
