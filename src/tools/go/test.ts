import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { goTextOfJson } from '../repo/test-output/go-test.ts'
import { BUILD, prepareDirectory } from '../repo/toolchains/toolchain.ts'
import { coveragePercent } from '../toolchain/coverage-percent.ts'
import { runTestToolchain, testToolOutput } from '../toolchain/run-toolchain.ts'
import { pathTargetArgument } from '../toolchain/toolchain-target.ts'
import { GO_TARGET, goPackages } from './go-target.ts'

const PROFILE = `${BUILD}/go-coverage.out`

export default defineTool({
  name: 'go.test',
  description: `Runs the tests of a Go module with go test. Returns the output with the counts of passed, failed and skipped tests and the names of
those that failed; with coverage the percentage of statements over all packages that were tested. Failing tests end the call with
tests_failed and the same output; packages that do not compile are among the failed tests, by name. When no test ran because nothing
compiled it ends with execution_failed and what the compiler said. It fetches no modules in a session without network.`,
  input: z.object({
    package: pathTargetArgument(GO_TARGET).optional(),
    coverage: z.boolean().default(false).describe('Measure which statements run.'),
    run_pattern: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .describe('Only tests whose names match this regular expression (go test -run).'),
  }),
  output: testToolOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 300,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'package', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed', 'tests_failed'],
  examples: [
    { title: 'All tests, with coverage', args: { coverage: true } },
    { title: 'One test', args: { package: 'internal/dates', run_pattern: '^TestParse$' } },
  ],
  async handler({ package: target, coverage, run_pattern }, context) {
    const packages = await goPackages(target, context)
    if (coverage) await prepareDirectory(context, BUILD)
    const options = [
      ...(coverage ? [`-coverprofile=${PROFILE}`] : []),
      ...(run_pattern === undefined ? [] : [`-run=${run_pattern}`]),
    ]
    const command = ['go', 'test', '-json', ...options, packages]
    const result = await runTestToolchain({ commands: [command], artifact: 'test-output.txt', readable: goTextOfJson }, context)
    if (!coverage) return result
    // Of each package go prints its own share; the whole is in the profile.
    const total = await context.sandbox.run(['go', 'tool', 'cover', `-func=${PROFILE}`], { quiet: true })
    result.output.coverage_percent = total.exit_code === 0 ? coveragePercent(total.stdout) : null
    return result
  },
})
