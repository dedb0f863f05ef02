import { basename } from 'node:path/posix'
import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { bytes, sendBytes } from '../../send-bytes.ts'

export function downloadFile(app: App, { files }: AppDependencies): void {
  app.get(
    '/v1/sessions/:session_id/files',
    {
      schema: {
        operationId: 'downloadFile',
        tags: ['files'],
        summary: 'Download a file of the session',
        description: 'The same gate as `fs.read`, judged as the largest read that it can be asked for. At most 64 MiB.',
        params: sessionParams,
        querystring: z.strictObject({ path: z.string().min(1).max(4096) }),
        response: responds({ 200: bytes("The file's bytes.") }, 403, 404, 409, 413, 429),
      },
    },
    async (request, reply) => {
      const { entry, stream } = await files.download(request.caller, request.params.session_id, request.query.path)
      return sendBytes(reply, { name: basename(entry.path) }).send(stream)
    },
  )
}
