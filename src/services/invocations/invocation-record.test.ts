import { expect, it } from 'vitest'
import { errors, ToolError } from '../../domain/errors.ts'
import { makeRedactor } from '../../domain/redaction.ts'
import { failureOf } from './invocation-record.ts'

const VALUE = 'swordfish-4711'

it.each([
  ['a tool', (message: string) => new ToolError('execution_failed', message)],
  ['a refusal', (message: string) => errors.conflict(message)],
])('the message of %s is cut after its secrets are taken out', (_, failed) => {
  const redactor = makeRedactor({ KEY: VALUE })
  for (let before = 4975; before < 5005; before++) {
    const { message } = failureOf(failed(`${'x'.repeat(before)}${VALUE}${'y'.repeat(100)}`), redactor, false).error
    expect(message).toBe(`${`${'x'.repeat(before)}[secret:KEY]${'y'.repeat(100)}`.slice(0, 5000)}...`)
  }
  expect(failureOf(failed(`it was ${VALUE}`), redactor, false).error.message).toBe('it was [secret:KEY]')
})
