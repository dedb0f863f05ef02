import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { dependencySchema } from '../inventory/dependency-record.ts'
import { inventoryPath, LOCKFILES, mostDependencies } from '../inventory/inventory-arguments.ts'
import { takeInventory } from '../inventory/take-inventory.ts'

export default defineTool({
  name: 'security.scan_dependencies',
  description: `Lists what a project depends on, with versions, ecosystems and licences as far as the files tell: ${LOCKFILES} in one directory,
and what is installed beside them. It is an inventory only: it runs no package manager, asks no database and finds no vulnerabilities.
For licences with a verdict use security.license_check, for a bill of materials sbom.generate.`,
  input: z.object({ path: inventoryPath(), max_dependencies: mostDependencies() }),
  output: z.object({
    project_type: z.string(),
    command: z.array(z.string()).describe('Always empty: nothing is run, files are read.'),
    dependencies_count: z.int(),
    dependencies: z.array(dependencySchema),
    truncated: z.boolean(),
    sources: z.array(z.string()).describe('The files that were read.'),
    scanner: z.literal('lockfiles'),
    exit_code: z.int(),
    output: z.string().describe('The same as text, with what makes it less than complete.'),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 180,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'The project at the root', args: {} }],
  async handler({ path, max_dependencies }, context) {
    const { project_type, dependencies, truncated, sources, notes } = await takeInventory(path, max_dependencies, context)
    const lines = dependencies.map(
      ({ ecosystem, name, version, license }) => `${ecosystem} ${name} ${version ?? '?'} ${license ?? '(licence not known)'}`,
    )
    return {
      output: {
        project_type,
        command: [],
        dependencies_count: dependencies.length,
        dependencies,
        truncated,
        sources,
        scanner: 'lockfiles' as const,
        exit_code: 0,
        output: [...notes.map((note) => `note: ${note}`), ...lines].map((line) => `${line}\n`).join(''),
      },
      exit_code: 0,
      truncated,
    }
  },
})
