import { lastLine, type Run } from '../repo/run-plan.ts'
import type { Diagnostic } from './parse-diagnostics.ts'

/** One line for a message: the first error that was found says most; else the last line that was printed. Pure. */
export function whatWentWrong(run: Run, diagnostics: Diagnostic[]): string {
  const first = diagnostics.find((each) => each.severity === 'error')
  if (!first) return lastLine(run.output)
  const place = first.path ? `${first.path}${first.line === null ? '' : `:${first.line}`}: ` : ''
  return `${place}${first.message}`.slice(0, 300)
}
