import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { BlockList, isIP } from 'node:net'
import { Readable, Transform } from 'node:stream'
import type { HttpSource } from '../../domain/connector.ts'
import { isPrivateAddress } from '../../domain/ip-address.ts'
import { ConnectorFault } from '../connector-fault.ts'

/** Bytes of one answer, a stream of events included. */
const ANSWER_BYTES = 8 * 1024 * 1024
/** Of one connector at a time. A server that answers is not slowed down by it; one that does not keeps no more sockets. */
export const MOST_REQUESTS = 32
/** A connection that nobody uses is kept for so long. */
const IDLE_MS = 30_000
const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

export interface GuardedFetchOptions {
  source: HttpSource
  /** Values by header. */
  headers: Readonly<Record<string, string>>
  /** How long any request may take, to the end of its answer. */
  longest_ms: number
  /** Absent: the machine's. */
  lookup?: typeof lookup
}

/**
 * A fetch for one connector: to its origin only, over TLS (or to loopback, where the configuration says so), to addresses that the
 * configuration lets it, which are checked where the connection is made. Redirects are refused, answers are bounded, and never
 * compressed, so that what is counted is what comes. There is no GET, which would be a stream that has no end and is opened again
 * whenever and as soon as the server likes: it is answered as by a server that has none.
 */
export function guardedFetch(options: GuardedFetchOptions): typeof fetch {
  const { source, headers } = options
  const home = new URL(source.url)
  const admit = addressGuard(source)
  // A pool of its own: a connection that another connector made was admitted by other rules.
  const Agent = home.protocol === 'https:' ? HttpsAgent : HttpAgent
  const way: Way = {
    lookup: pinnedLookup(admit, options.lookup ?? lookup),
    agent: new Agent({ keepAlive: true, timeout: IDLE_MS, maxSockets: MOST_REQUESTS }),
    open: 0,
  }
  return async (input, init = {}) => {
    if ((init.method ?? 'GET') === 'GET') return new Response(null, { status: 405 })
    const url = new URL(input instanceof Request ? input.url : input)
    if (url.origin !== home.origin) throw new ConnectorFault('unreachable', 'it was to be called at another place than its url')
    const host = url.hostname.replace(/^\[|\]$/g, '')
    if (isIP(host) !== 0) admit(host)
    const given = new Headers(init.headers)
    for (const [name, value] of Object.entries(headers)) given.set(name, value)
    given.set('accept-encoding', 'identity')
    const late = AbortSignal.timeout(options.longest_ms)
    const signal = init.signal ? AbortSignal.any([init.signal, late]) : late
    const response = await send(url, { ...init, headers: given, signal }, way)
    const status = response.statusCode ?? 0
    if (status >= 300 && status < 400 && status !== 304) {
      response.destroy()
      throw new ConnectorFault('refused', `it answers with a redirect (${status}), which is not followed`)
    }
    const answered = Object.entries(response.headersDistinct).flatMap(([name, values]) =>
      (values ?? []).map((value): [string, string] => [name, value]),
    )
    const empty = status === 204 || status === 205 || status === 304
    if (empty) response.resume()
    return new Response(empty ? null : (Readable.toWeb(response.pipe(bounded(response))) as ReadableStream<Uint8Array>), {
      status,
      headers: answered,
    })
  }
}

interface Way {
  lookup: typeof lookup
  agent: HttpAgent | HttpsAgent
  /** Requests whose answers have not come to their end. */
  open: number
}

/** Rejects with `unreachable` while there is no connection, and with `lost` from then on. */
function send(url: URL, init: RequestInit & { headers: Headers }, way: Way): Promise<IncomingMessage> {
  const { method, headers, body, signal } = init
  if (typeof body !== 'string') return Promise.reject(new TypeError('only text is sent'))
  if (way.open >= MOST_REQUESTS)
    return Promise.reject(new ConnectorFault('unreachable', `it leaves ${MOST_REQUESTS} requests open: no more are made`))
  way.open++
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:'
    const { lookup, agent } = way
    const options = { method, headers: Object.fromEntries(headers), lookup, agent, signal }
    const request = (secure ? httpsRequest : httpRequest)(url, options as never, resolve)
    let connected = false
    request.once('socket', (socket) => {
      if (!socket.connecting) connected = true
      else socket.once(secure ? 'secureConnect' : 'connect', () => (connected = true))
    })
    request.once('close', () => {
      way.open--
      reject(new ConnectorFault('lost', 'it went away before it answered'))
    })
    request.on('error', (error) => {
      if (signal?.aborted || error instanceof ConnectorFault) return reject(error)
      const code = (error as NodeJS.ErrnoException).code ?? 'no connection'
      reject(
        connected
          ? new ConnectorFault('lost', `it went away before it answered (${code})`, error)
          : new ConnectorFault('unreachable', `it cannot be reached (${code})`, error),
      )
    })
    request.end(body)
  })
}

/** @throws ConnectorFault `unreachable`, from what is returned, for an address that may not be called */
function addressGuard({ allow_loopback_http, allow_private_addresses }: HttpSource): (address: string) => void {
  const listed = new BlockList()
  for (const entry of allow_private_addresses) {
    const [network, prefix] = entry.split('/') as [string, string?]
    const family = isIP(network) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) listed.addAddress(network, family)
    else listed.addSubnet(network, Number(prefix), family)
  }
  return (given) => {
    const address = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(given)?.[1] ?? given
    if (!isPrivateAddress(address)) return
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (listed.check(address, family) || (allow_loopback_http && LOOPBACK.check(address, family))) return
    throw new ConnectorFault('unreachable', 'its host has a private address, which allow_private_addresses does not list')
  }
}

/** The look-up that the connection itself makes: what was checked is what is connected to. One address that may not be spoils all. */
function pinnedLookup(admit: (address: string) => void, resolve: typeof lookup): typeof lookup {
  const guarded = (
    hostname: string,
    options: LookupOptions,
    callback: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
  ) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      try {
        for (const { address } of addresses) admit(address)
      } catch (refusal) {
        return callback(refusal as Error, [])
      }
      const [first] = addresses
      if (!first) return callback(new ConnectorFault('unreachable', 'its host has no address'), [])
      if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
  return guarded as unknown as typeof lookup
}

function bounded(response: IncomingMessage): Transform {
  let size = 0
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length
      if (size <= ANSWER_BYTES) return done(null, chunk)
      done(new ConnectorFault('lost', `it answers with more than ${ANSWER_BYTES / 1024 / 1024} MiB`))
    },
  })
  response.once('error', (error) => stream.destroy(error))
  stream.once('close', () => response.destroy())
  return stream
}
