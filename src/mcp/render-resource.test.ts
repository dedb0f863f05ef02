import { expect, test } from 'vitest'
import { renderResource } from './render-resource.ts'

const rendered = (content_type: string, content: Buffer | string) => renderResource('x:y', { content_type }, Buffer.from(content))

test.each([
  'text/plain',
  'text/plain; charset=utf-8',
  'TEXT/Markdown',
  'text/csv;charset=US-ASCII',
  'application/json',
  'application/vnd.cyclonedx+json',
])('%s is text', (type) => {
  expect(rendered(type, 'é\0')).toEqual({ uri: 'x:y', mimeType: type, text: 'é\0' })
})

test('a byte order mark is part of the text', () => {
  const { text } = rendered('text/plain', '\ufeffa') as { text: string }
  expect(text).toBe('\ufeffa')
})

test.each([
  ['application/octet-stream', 'plain'],
  ['image/svg', 'plain'],
  ['application/zip', 'plain'],
  ['text/plain; charset=utf-16', 'a'],
  ['text/plain', Buffer.from([0xff, 0xfe])],
])('%s is bytes where its type or its content says so', (type, content) => {
  expect(rendered(type, content)).toEqual({ uri: 'x:y', mimeType: type, blob: Buffer.from(content).toString('base64') })
})
