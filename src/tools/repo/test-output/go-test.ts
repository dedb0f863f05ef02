import { type TestOutputParser, unique } from './test-summary.ts'

/** One line of `go test -json` (cmd/test2json). */
interface GoEvent {
  Action: string
  Package?: string
  Test?: string
  Output?: string
}

/** What stands beside a package whose tests were not even started. */
const NOT_BUILT = /^\[(?:build|setup) failed\]/

/** `go test`, with or without -v: names are known of what failed, and of the rest with -v only. */
export const parseGoTest: TestOutputParser = (output) => {
  if (!/^(?:ok {2}\t|FAIL\t|\? {3}\t|--- (?:FAIL|PASS|SKIP): )/m.test(output)) return null
  let [passed, failed, skipped] = [0, 0, 0]
  const names: string[] = []
  let pending: string[] = []
  let notBuilt = 0
  let packagesRan = 0
  for (const line of output.split('\n')) {
    const result = /^ *--- (PASS|FAIL|SKIP): (\S+) \(/.exec(line)
    if (result?.[1] === 'PASS') passed++
    if (result?.[1] === 'SKIP') skipped++
    if (result?.[1] === 'FAIL') pending.push(result[2] as string)
    const end = /^(?:FAIL|ok {2})\t(\S+)(?:[ \t](.*))?$/.exec(line)
    if (!end) continue
    const [, name = '', detail = ''] = end
    if (NOT_BUILT.test(detail)) notBuilt++
    else packagesRan++
    names.push(...pending.map((test) => `${name}.${test}`))
    failed += pending.length
    // Neither built nor run to a test's end (a panic outside of one, os.Exit).
    if (line.startsWith('FAIL') && pending.length === 0) {
      names.push(detail.startsWith('[') ? `${name} ${detail}` : name)
      failed++
    }
    pending = []
  }
  failed += pending.length
  names.push(...pending)
  const verbose = /^=== RUN /m.test(output)
  return {
    runner: 'go test',
    passed: verbose ? passed : null,
    failed,
    skipped,
    failed_tests: unique(names),
    ...(notBuilt > 0 && packagesRan + passed + skipped === 0 && failed === notBuilt && { none_ran: true }),
  }
}

/** The text that `go test -v` would have printed, from the output of `go test -json`. Lines that are no events stay. */
export function goTextOfJson(output: string): string {
  return output
    .split(/(?<=\n)/)
    .map((line) => parseEvent(line)?.Output ?? (line.startsWith('{"') ? '' : line))
    .join('')
}

/** `go test -json`: with packages side by side, every line says where it belongs. */
export const parseGoJson: TestOutputParser = (output) => {
  const events = output.split('\n').flatMap((line) => parseEvent(line) ?? [])
  if (!events.some((event) => event.Package !== undefined)) return null
  const results = new Map<string, string>()
  const packages = new Map<string, string>()
  const details = new Map<string, string>()
  const withFailedTests = new Set<string>()
  for (const { Action, Package = '', Test, Output = '' } of events) {
    if (/^(pass|fail|skip)$/.test(Action))
      (Test === undefined ? packages : results).set(Test === undefined ? Package : `${Package}.${Test}`, Action)
    if (Action === 'fail' && Test !== undefined) withFailedTests.add(Package)
    const why = /^FAIL\t\S+ (\[.+\])/.exec(Output)?.[1]
    if (why !== undefined) details.set(Package, why)
  }
  const of = (action: string) => [...results].filter(([, result]) => result === action).map(([name]) => name)
  const broken = [...packages]
    .filter(([name, result]) => result === 'fail' && !withFailedTests.has(name))
    .map(([name]) => (details.has(name) ? `${name} ${details.get(name)}` : name))
  // Go 1.19 prints this one as plain text in between.
  const plain = [...output.matchAll(/^FAIL\t(\S+) (\[(?:build|setup) failed\])$/gm)].map((match) => `${match[1]} ${match[2]}`)
  const notRun = unique([...broken, ...plain])
  const failing = [...of('fail'), ...notRun]
  return {
    runner: 'go test',
    passed: of('pass').length,
    failed: failing.length,
    skipped: of('skip').length,
    failed_tests: failing,
    ...(notRun.length > 0 && results.size === 0 && notRun.every(isNotBuilt) && { none_ran: true }),
  }
}

function isNotBuilt(name: string): boolean {
  return NOT_BUILT.test(name.slice(name.indexOf(' ') + 1))
}

function parseEvent(line: string): GoEvent | null {
  if (!line.startsWith('{"')) return null
  try {
    const event = JSON.parse(line) as GoEvent
    return typeof event.Action === 'string' ? event : null
  } catch {
    // A program under test printed something that begins like an event.
    return null
  }
}
