import { type JSONRPCMessage, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio'

export interface Bridge {
  /** The session's endpoint. */
  url: URL
  /** Mints a credential of the session; null: the caller has one already. Asked again when one is no longer good. */
  credential: () => Promise<string | null>
  /** What the caller came with; undefined: the server asks for none. */
  ownToken: string | undefined
}

/**
 * Hands messages on between stdin and stdout and a session's endpoint, as they are. Resolves when stdin ends or a signal comes, after
 * what is under way was answered or cancelled. Nothing but messages is written to stdout; problems go to stderr.
 */
export async function bridgeMcp({ url, credential, ownToken }: Bridge): Promise<void> {
  let token = (await credential()) ?? ownToken
  const local = new StdioServerTransport()
  const remote = new StreamableHTTPClientTransport(url, {
    fetch: async (input, init = {}) => {
      const send = () => fetch(input, { ...init, headers: withToken(init.headers, token) })
      const response = await send()
      if (response.status !== 401) return response
      // It expired: a bridge may live for days.
      const fresh = await credential()
      if (fresh === null) return response
      token = fresh
      return send()
    },
  })
  const over = Promise.withResolvers<void>()
  const stop = () => over.resolve()
  local.onmessage = (message) => {
    remote.send(message).catch((error: unknown) => answerFailure(local, message, error))
  }
  remote.onmessage = (message) => {
    const version = negotiatedVersion(message)
    if (version !== null) remote.setProtocolVersion(version)
    local.send(message).catch(stop)
  }
  local.onclose = stop
  process.stdin.once('end', stop)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  await remote.start()
  await local.start()
  await over.promise
  // Ends the session on the server's side, where there is one; a server that is gone has ended it by itself.
  await remote.terminateSession().catch(() => undefined)
  await remote.close()
  await local.close()
}

function withToken(headers: RequestInit['headers'], token: string | undefined): Headers {
  const all = new Headers(headers)
  if (token !== undefined) all.set('authorization', `Bearer ${token}`)
  return all
}

/** A request that could not be handed on is answered, or its client would wait for ever. */
function answerFailure(local: StdioServerTransport, message: JSONRPCMessage, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error)
  process.stderr.write(`cloister: ${reason}\n`)
  if (!('id' in message) || !('method' in message)) return
  const failure = { code: -32_603, message: `the Cloister server could not be asked: ${reason}` }
  local.send({ jsonrpc: '2.0', id: message.id, error: failure }).catch(() => undefined)
}

function negotiatedVersion(message: JSONRPCMessage): string | null {
  if (!('result' in message)) return null
  const version = (message.result as { protocolVersion?: unknown }).protocolVersion
  return typeof version === 'string' ? version : null
}
