import { FILE_LIMIT } from '../../domain/file-limit.ts'
import { decodeUtf8 } from '../../domain/utf8.ts'

/** A body, and the arguments with which `fs.write` would write the same bytes. */
export interface JudgedBody {
  args: { content: string; encoding: 'utf8' | 'base64' }
  /** Of `args`, what says nothing of the body: it is longer than is looked at, or broke off. */
  unseen: ('content' | 'encoding')[]
  /** All bytes, once. Throws, in its place, what reading the body threw. */
  bytes: () => AsyncGenerator<Buffer>
}

/** Reads as much as policy can be shown (what `fs.write` takes), before anything is asked. Rejects never. */
export async function judgedBody(body: NodeJS.ReadableStream): Promise<JudgedBody> {
  const chunks = body[Symbol.asyncIterator]()
  const head: Buffer[] = []
  let length = 0
  let state: 'open' | 'ended' | { broken: unknown } = 'open'
  try {
    while (length <= FILE_LIMIT) {
      const { done, value } = await chunks.next()
      if (done) {
        state = 'ended'
        break
      }
      const chunk = Buffer.from(value as Buffer)
      head.push(chunk)
      length += chunk.length
    }
  } catch (error) {
    state = { broken: error }
  }
  const end = state
  const bytes = async function* (): AsyncGenerator<Buffer> {
    yield* head
    if (typeof end === 'object') throw end.broken
    if (end === 'open') for await (const chunk of { [Symbol.asyncIterator]: () => chunks }) yield Buffer.from(chunk as Buffer)
  }
  if (end !== 'ended' || length > FILE_LIMIT)
    return { args: { content: '', encoding: 'utf8' }, unseen: ['content', 'encoding'], bytes }
  const whole = Buffer.concat(head)
  const text = decodeUtf8(whole)
  const args: JudgedBody['args'] =
    text === null ? { content: whole.toString('base64'), encoding: 'base64' } : { content: text, encoding: 'utf8' }
  return { args, unseen: [], bytes }
}
