import type { FastifyReply } from 'fastify'
import { z } from 'zod'

/** The documented response of a download. */
export function bytes(description: string) {
  return { description, content: { 'application/octet-stream': { schema: z.any().meta({ type: 'string', format: 'binary' }) } } }
}

/**
 * Headers of a download. Bytes from a sandbox are hostile: always an attachment, always octets, never sniffed, so that no browser
 * shows them as a page of ours.
 * @param file `size`: bytes, when it is known not to change
 */
export function sendBytes(reply: FastifyReply, file: { name: string; size?: number }): FastifyReply {
  if (file.size !== undefined) reply.header('content-length', file.size)
  return reply
    .type('application/octet-stream')
    .header('content-disposition', contentDisposition(file.name))
    .header('x-content-type-options', 'nosniff')
    .header('cache-control', 'private, no-store')
}

/** RFC 6266: an ASCII name for old clients, the exact one in `filename*`. */
export function contentDisposition(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 200) || 'file'
  const exact = encodeURIComponent(name.slice(0, 200).toWellFormed()).replaceAll(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`
}
