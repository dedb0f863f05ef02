import type { App } from '../app-type.ts'
import type { McpEndpoint } from '../dependencies.ts'
import type { EventStreams } from '../event-streams.ts'

/** How often connections are looked at while the server closes, in ms. */
const SWEEP_MS = 25

/**
 * Closing: no new connections; event streams end, their readers come back to the next server; requests under way are answered.
 * Connections that are kept alive are closed as they fall idle, instead of holding up the close until they time out.
 */
export function gracefulClose(app: App, streams: EventStreams, mcp: McpEndpoint): void {
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
    streams.endAll()
    await mcp.endAll()
    if (!app.server.listening) return
    const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS)
    app.server.once('close', () => clearInterval(sweep))
  })
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close')
  })
}
