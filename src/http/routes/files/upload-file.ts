import { Transform } from 'node:stream'
import { z } from 'zod'
import { errors } from '../../../domain/errors.ts'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderInvocation } from '../../render-invocation.ts'
import { flag, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { invocationSchema } from '../../schemas/invocation.ts'

/** Bytes of an upload. */
const UPLOAD_LIMIT = 64 * 1024 * 1024

/** Must be added to a scope of its own: it takes any content type and hands the body on unread. */
export function uploadFile(app: App, { files }: AppDependencies): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, body, done) => done(null, body))

  app.put(
    '/v1/sessions/:session_id/files',
    {
      bodyLimit: UPLOAD_LIMIT,
      schema: {
        operationId: 'uploadFile',
        tags: ['files'],
        summary: 'Upload a file into the session',
        description:
          'The same gate as `fs.write`. The body is the content, whatever its content type. At most 64 MiB; at most 1 MiB where policies look at the content.',
        consumes: ['application/octet-stream'],
        params: sessionParams,
        querystring: z.strictObject({
          path: z.string().min(1).max(4096),
          approved: flag().optional().describe('Your approval, if you may approve.'),
        }),
        body: z.any().meta({ type: 'string', format: 'binary' }),
        response: responds(
          {
            200: z.object({
              path: z.string(),
              bytes_written: z.number().int(),
              sha256: z.string(),
              invocation: invocationSchema,
            }),
          },
          403,
          404,
          409,
          413,
          428,
          429,
        ),
      },
    },
    async (request) => {
      const tooLarge = errors.payloadTooLarge(`a file is at most ${UPLOAD_LIMIT} bytes`)
      if (Number(request.headers['content-length'] ?? 0) > UPLOAD_LIMIT) throw tooLarge
      let received = 0
      const counted = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          received += chunk.length
          done(received > UPLOAD_LIMIT ? tooLarge : null, chunk)
        },
      })
      // An upload without a body has no parser run: it is an empty file.
      const body = request.body as NodeJS.ReadableStream | null | undefined
      if (body) body.on('error', (error) => counted.destroy(error)).pipe(counted)
      else counted.end()
      try {
        const { session_id } = request.params
        const stored = await files.upload(
          request.caller,
          session_id,
          request.query.path,
          request.query.approved ?? false,
          counted,
        )
        return { ...stored, invocation: renderInvocation(stored.invocation) }
      } catch (error) {
        // However the service wrapped it: what failed was the size.
        if (received > UPLOAD_LIMIT) throw tooLarge
        throw error
      } finally {
        counted.destroy()
        // What nobody took is read and dropped (until the request's deadline), or the connection could not be used again.
        request.raw.unpipe(counted).resume()
      }
    },
  )
}
