import { expect, it } from 'vitest'
import { readCallResult } from './call-result.ts'

it('the message of an answer that is an error is whole, so that it can be redacted before it is cut', () => {
  const text = `${'x'.repeat(100_000)}the end`
  expect(() => readCallResult({ isError: true, content: [{ type: 'text', text }] })).toThrow(`the tool failed: ${text}`)
})
