import type { ReadResourceResult } from '@modelcontextprotocol/server'
import type { Artifact } from '../domain/invocation.ts'
import { decodeUtf8 } from '../domain/utf8.ts'

/** Media types that are text by their name. What else is text may say so as `text/...`. */
const TEXT = /^(text\/.+|application\/(json|xml|yaml|toml|javascript|x-ndjson|.+\+(json|xml|yaml)))$/

/** An artifact as the contents of a resource: text when its type says so and its bytes are UTF-8, else base64. */
export function renderResource(
  uri: string,
  { content_type: mimeType }: Pick<Artifact, 'content_type'>,
  content: Buffer,
): ReadResourceResult['contents'][number] {
  const text = isText(mimeType) ? decodeUtf8(content) : null
  return text === null ? { uri, mimeType, blob: content.toString('base64') } : { uri, mimeType, text }
}

function isText(mimeType: string): boolean {
  const [type = '', ...parameters] = mimeType.toLowerCase().split(/; ?/)
  const charset = parameters.find((each) => each.startsWith('charset='))
  return TEXT.test(type) && (charset === undefined || /^charset=(utf-8|us-ascii)$/.test(charset))
}
