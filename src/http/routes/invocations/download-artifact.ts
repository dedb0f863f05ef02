import { z } from 'zod'
import { errors } from '../../../domain/errors.ts'
import type { App } from '../../app-type.ts'
import { answerFor } from '../../byte-range.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'
import { bytes, sendBytes } from '../../send-bytes.ts'

export function downloadArtifact(app: App, { invocations }: AppDependencies): void {
  app.get(
    '/v1/invocations/:invocation_id/artifacts/:artifact_id',
    {
      schema: {
        operationId: 'downloadArtifact',
        tags: ['invocations'],
        summary: 'Download an artifact',
        description:
          'One range of bytes at a time. `ETag` is the SHA-256, so that what is there already need not be sent again. The bytes of an artifact never change; they may be gone after a while (`CLOISTER_RETENTION_DAYS`).',
        params: z.strictObject({ invocation_id: z.string().min(1).max(128), artifact_id: z.string().min(1).max(128) }),
        headers: z.object({
          range: z.string().max(128).optional().describe('`bytes=0-99`, `bytes=100-` or `bytes=-100`.'),
          'if-range': z.string().max(256).optional(),
          'if-none-match': z.string().max(1024).optional(),
        }),
        response: responds(
          { 200: bytes('The bytes.'), 206: bytes('The range.'), 304: z.null().describe('You have it already.') },
          403,
          404,
          416,
        ),
      },
    },
    async (request, reply) => {
      const { artifact, open } = await invocations.artifact(
        request.caller,
        request.params.invocation_id,
        request.params.artifact_id,
      )
      const { name, size_bytes, sha256 } = artifact
      const etag = `"${sha256}"`
      const { range, 'if-range': if_range, 'if-none-match': if_none_match } = request.headers
      const answer = answerFor({ range, if_range, if_none_match }, etag, size_bytes)
      reply.header('accept-ranges', 'bytes')
      if (answer.status === 416) throw errors.rangeNotSatisfiable(size_bytes)
      reply.header('etag', etag)
      if (answer.status === 304) return reply.code(304).header('cache-control', 'private, no-store').send()
      if (answer.status === 200) return sendBytes(reply, { name, size: size_bytes }).send(await open())
      const { start, end } = answer.range
      const content = await open(answer.range)
      reply.code(206).header('content-range', `bytes ${start}-${end}/${size_bytes}`)
      return sendBytes(reply, { name, size: end - start + 1 }).send(content)
    },
  )
}
