import type { App } from '../app-type.ts'

/** One line for each request, without query, headers or body: those may hold what is none of the log's business. */
export function requestLog(app: App): void {
  app.addHook('onResponse', async (request, reply) => {
    const quiet = request.routeOptions.config.public === true
    const line = {
      method: request.method,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime),
      remote: request.ip,
    }
    if (quiet) request.log.debug(line, 'request')
    else request.log.info(line, 'request')
  })
}
