import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { displayPath, isUnder, resolvePath, WORKSPACE } from '../../domain/path.ts'
import { pathArgument } from '../workspace-path.ts'
import { type Run, runPlan } from './run-plan.ts'
import { planTestFile, requireTestFile } from './test-file-plan.ts'
import { parseTestOutput } from './test-output/parse-test-output.ts'
import { testsVerdict } from './test-run.ts'

const MOST_BYTES = 1024 * 1024

export default defineTool({
  name: 'repo.test_file',
  description: `Runs the tests of one file, and of these only those whose names match pattern: by go test, pytest or unittest, cargo test, or
the runner that package.json's test script names (vitest, jest, mocha, else node --test). Tests that fail are no error: the call succeeds
with passed false and the output. It ends with execution_failed when they could not be run, or when no test matched, and with timeout
after timeout_seconds. For all tests use repo.run_tests, which needs no approval.`,
  input: z.object({
    path: pathArgument('The test file: .go, .py, .rs, or JavaScript or TypeScript.'),
    pattern: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^-\s]/, 'must not start with "-" or a blank')
      .optional()
      .describe('Only tests of such names, as the runner understands it (-run, -k, -t, a part of the name for rust).'),
    timeout_seconds: z.int().min(1).max(600).default(120).describe('Seconds after which the tests are stopped.'),
  }),
  output: z.object({
    path: z.string(),
    command: z.string().describe('As it could be typed; the words are separated by single blanks.'),
    passed: z.boolean(),
    exit_code: z.int(),
    output: z.string(),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 600,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'path', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [
    { title: 'One file', args: { path: 'tests/test_dates.py' } },
    { title: 'Some of its tests', args: { path: 'src/dates.test.ts', pattern: 'leap year', timeout_seconds: 60 } },
  ],
  async handler({ path: given, pattern, timeout_seconds }, context) {
    const verdict = resolvePath(given)
    const path = verdict.ok ? displayPath(verdict.path) : given
    requireTestFile(path)
    // Host settles where it leads, and that it is a file.
    const { content } = await context.sandbox.read(given, { max_bytes: MOST_BYTES })
    if (!verdict.ok || !isUnder(verdict.path, WORKSPACE))
      throw new ToolError('invalid_argument', `${path} does not lie in the repository (${WORKSPACE})`)
    const plan = await planTestFile({ path, content: content.toString(), pattern }, context)
    const report = (run: Run) => ({
      path,
      command: run.command.join(' '),
      passed: run.exit_code === 0,
      exit_code: run.exit_code,
      output: run.output,
    })
    const { run, artifacts } = await runPlan(plan, context, 'test-output.txt', report, timeout_seconds)
    const summary = parseTestOutput(run.raw)
    const output = report(run)
    const fail = (message: string) => new ToolError('execution_failed', message, { output, exitCode: run.exit_code, artifacts })
    if (run.exit_code !== 0) {
      const [code, message] = testsVerdict(run, summary)
      if (code === 'execution_failed') throw fail(message)
    } else if ((summary && summary.passed === 0 && summary.skipped === 0) || isTheFileAlone(run.raw, path))
      throw fail(`no test of ${path} was run`)
    return { output, exit_code: run.exit_code, artifacts }
  },
})

/** Node's runner counts a file in which nothing was run as one test that passed, named after it (as `spec` and as `tap` write it). */
function isTheFileAlone(output: string, path: string): boolean {
  const passed = [...output.matchAll(/^(?:✔|ok \d+ -) (.+?)(?: \(\d[\d.]*ms\))?$/gm)].map((match) => match[1])
  return passed.length === 1 && passed[0] === path
}
