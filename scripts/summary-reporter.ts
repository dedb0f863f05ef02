import { writeFileSync } from 'node:fs'
import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node'

/**
 * Ends a run with what was skipped and why, and as its very last line `N passed, N failed, N skipped`. A test file that could not
 * be loaded and an error outside of any test count as failures; a run in which no test ran is one too.
 *
 * `CLOISTER_TEST_SUMMARY`: a file that gets the last line as well.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const summary = summarise(modules, unhandled.length)
    for (const { name, reason } of summary.skips) process.stdout.write(`skipped: ${name}: ${reason}\n`)
    const line = `${summary.passed} passed, ${summary.failed} failed, ${summary.skips.length} skipped\n`
    process.stdout.write(line)
    const file = process.env['CLOISTER_TEST_SUMMARY']
    if (file) writeFileSync(file, line)
    if (summary.failed > 0 || summary.passed === 0) process.exitCode = 1
  }
}

interface Summary {
  passed: number
  failed: number
  skips: { name: string; reason: string }[]
}

/** Counts tests. `unhandled`: errors that belong to no test. */
export function summarise(modules: readonly TestModule[], unhandled: number): Summary {
  const summary: Summary = { passed: 0, failed: unhandled, skips: [] }
  for (const module of modules) {
    let failedHere = 0
    for (const test of module.children.allTests()) {
      const result = test.result()
      if (result.state === 'passed') summary.passed++
      else if (result.state === 'skipped')
        summary.skips.push({ name: nameOf(module, test), reason: result.note ?? reasonFromAround(test) })
      // Pending at the end of a run: it was cut off.
      else failedHere++
    }
    if (failedHere === 0 && module.state() === 'failed') failedHere = 1
    summary.failed += failedHere
  }
  return summary
}

/** A test that was skipped without a word: because what it stands in was, or could not be set up. */
function reasonFromAround(test: TestCase): string {
  for (
    let parent: TestCase['parent'] | undefined = test.parent;
    parent;
    parent = parent.type === 'suite' ? parent.parent : undefined
  )
    if (parent.errors().length > 0) return 'what comes before it failed'
  return 'no reason given'
}

function nameOf(module: TestModule, test: TestCase): string {
  return `${module.relativeModuleId} > ${test.fullName}`
}
