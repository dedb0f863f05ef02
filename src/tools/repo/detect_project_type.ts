import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { detectProject } from './detect-project.ts'

export default defineTool({
  name: 'repo.detect_project_type',
  description: `Tells what kind of project the repository is, by the files at its root: go, rust, node, python, java, c or unknown, in this
order (a go.mod wins over a package.json). It is what repo.run_tests goes by. It reads names only, no content, and looks below the root
only for C sources.`,
  input: z.object({}),
  output: z.object({
    project_type: z.enum(['go', 'rust', 'node', 'python', 'java', 'c', 'unknown']),
    flavor: z.string().nullable().describe('node: typescript or npm; java: maven or gradle; c: cmake or make; else null.'),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 15,
  policy: { whole_repository: true },
  errors: [],
  examples: [{ title: 'What is this?', args: {} }],
  async handler(_, { sandbox }) {
    const { type, flavor } = await detectProject(sandbox)
    return { output: { project_type: type, flavor } }
  },
})
