import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { inventoryPath, LOCKFILES } from '../inventory/inventory-arguments.ts'
import { takeInventory } from '../inventory/take-inventory.ts'
import { cyclonedx, toComponent } from './cyclonedx-document.ts'

const ARTIFACT = 'sbom.cdx.json'

export default defineTool({
  name: 'sbom.generate',
  description: `Makes a bill of materials of what a project depends on, as a CycloneDX 1.6 document, kept as the artifact sbom.cdx.json: ${LOCKFILES}
in one directory. Components have name, version, package URL and, where a package declares it, the licence. The same lockfiles make the
same document. It reads files only: nothing is run, and what is not in a lockfile is not in it.`,
  input: z.object({
    path: inventoryPath(),
    format: z.enum(['cyclonedx-json']).default('cyclonedx-json').describe('The only one so far.'),
    max_components: z.int().min(1).max(10_000).default(1000).describe('At most this many components.'),
  }),
  output: z.object({
    format: z.enum(['cyclonedx-json']),
    project_type: z.string(),
    components: z.array(
      z.object({ name: z.string(), version: z.string().nullable(), purl: z.string(), license: z.string().nullable() }),
    ),
    components_count: z.int(),
    truncated: z.boolean(),
    sources: z.array(z.string()).describe('The files that were read.'),
    artifact_name: z.string(),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 240,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'The project at the root', args: {} }],
  async handler({ path, format, max_components }, context) {
    const { project_type, dependencies, truncated, sources } = await takeInventory(path, max_components, context)
    const made = dependencies.map((each) => ({ dependency: each, component: toComponent(each) }))
    return {
      output: {
        format,
        project_type,
        components: made.map(({ dependency: { name, version, license }, component: { purl } }) => ({
          name,
          version,
          purl,
          license,
        })),
        components_count: made.length,
        truncated,
        sources,
        artifact_name: ARTIFACT,
      },
      exit_code: 0,
      truncated,
      artifacts: [
        {
          name: ARTIFACT,
          content_type: 'application/vnd.cyclonedx+json',
          content: cyclonedx(
            made.map(({ component }) => component),
            !truncated,
          ),
        },
      ],
    }
  },
})
