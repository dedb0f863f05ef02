import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ServerSentEvent, serverSentEvents } from './server-sent-events.ts'

async function parse(chunks: Iterable<Uint8Array>): Promise<ServerSentEvent[]> {
  async function* body() {
    yield* chunks
  }
  const events: ServerSentEvent[] = []
  for await (const event of serverSentEvents(body())) events.push(event)
  return events
}

const bytes = (text: string) => new TextEncoder().encode(text)

test.each([
  ['an event', 'id: 1\nevent: a\ndata: x\n\n', [{ id: '1', event: 'a', data: 'x' }]],
  ['several lines of data', 'data: x\ndata:y\ndata:\n\n', [{ id: null, event: 'message', data: 'x\ny\n' }]],
  ['comments and blank lines', ': hello\n\n\n: heartbeat\n\ndata: x\n\n', [{ id: null, event: 'message', data: 'x' }]],
  ['an id without data', 'id: 7\n\ndata: x\n\n', [{ id: null, event: 'message', data: 'x' }]],
  ['unknown fields', 'retry: 5\nfoo: bar\nfoo\ndata: x\n\n', [{ id: null, event: 'message', data: 'x' }]],
  ['one that was cut off', 'data: x\n\ndata: y\n', [{ id: null, event: 'message', data: 'x' }]],
  ['CRLF', 'id: 1\r\ndata: x\r\n\r\n', [{ id: '1', event: 'message', data: 'x' }]],
])('%s', async (_what, text, expected) => {
  expect(await parse([bytes(text)])).toEqual(expected)
})

test('however it is cut into chunks, also within a character or a line end, it is the same', async () => {
  const entry = fc.record({ id: fc.nat(), data: fc.jsonValue() })
  const property = fc.asyncProperty(
    fc.array(entry),
    fc.constantFrom('\n', '\r\n'),
    fc.array(fc.nat(400)),
    async (entries, eol, cuts) => {
      const text = entries
        .map(({ id, data }) => ['id: '.concat(String(id)), `data: ${JSON.stringify(data)}`, '', ''].join(eol))
        .join(`: c${eol}`)
      const whole = bytes(text)
      const edges = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length]
      const chunks = edges.slice(1).map((edge, i) => whole.slice(edges[i], edge))
      const expected = entries.map(({ id, data }) => ({ id: String(id), event: 'message', data: JSON.stringify(data) }))
      expect(await parse(chunks)).toEqual(expected)
    },
  )
  await fc.assert(property, { numRuns: 200 })
})
