import type { Invocation } from '../domain/invocation.ts'
import { ApiError, ConnectionError } from './api-error.ts'

export interface TransportOptions {
  /** Of the server, such as `http://127.0.0.1:50053`. */
  url: string
  /** Sent as `Authorization: Bearer`. */
  token?: string
  /** Sent with every request: what a gateway wants. */
  headers?: Record<string, string>
}

export type Query = Record<string, string | number | boolean | undefined>

export interface RequestOptions {
  query?: Query
  /** Sent as JSON; `undefined` fields are left out. */
  json?: unknown
  body?: Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
}

/** One request, one answer: errors of the API become `ApiError`, everything before an answer `ConnectionError`. */
export class Transport {
  readonly #base: string
  readonly #headers: Record<string, string>

  constructor(options: TransportOptions) {
    this.#base = options.url.replace(/\/+$/, '')
    this.#headers = {
      ...options.headers,
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    }
  }

  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.send(method, path, options)
    const text = await this.#text(response)
    try {
      return JSON.parse(text) as T
    } catch {
      throw unexpected(response)
    }
  }

  /** The answer to a request that succeeded, its body not read yet. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const url = new URL(this.#base + path)
    for (const [name, value] of Object.entries(options.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value))
    const headers: Record<string, string> = { accept: 'application/json', ...this.#headers, ...options.headers }
    const init: RequestInit & { duplex?: 'half' } = { method, headers, redirect: 'error' }
    if (options.signal) init.signal = options.signal
    if (options.json !== undefined) {
      headers['content-type'] = 'application/json'
      init.body = JSON.stringify(options.json)
    } else if (options.body !== undefined) {
      headers['content-type'] = 'application/octet-stream'
      init.body = options.body as NonNullable<RequestInit['body']>
      init.duplex = 'half'
    }
    let response: Response
    try {
      response = await fetch(url, init)
    } catch (error) {
      if (options.signal?.aborted) throw error
      throw new ConnectionError(this.#base, error)
    }
    if (!response.ok) throw await this.#errorOf(response)
    return response
  }

  async #errorOf(response: Response): Promise<ApiError> {
    const text = await this.#text(response)
    let body: ErrorBody
    try {
      body = JSON.parse(text) as ErrorBody
    } catch {
      return unexpected(response)
    }
    if (typeof body?.error?.code !== 'string' || typeof body.error.message !== 'string') return unexpected(response)
    const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
    return new ApiError({
      code: body.error.code,
      message: body.error.message,
      status: response.status,
      details: body.error.details ?? {},
      requestId: body.error.request_id ?? response.headers.get('x-request-id'),
      invocation: body.invocation ?? null,
      retryAfter: Number.isFinite(retryAfter) ? retryAfter : null,
    })
  }

  async #text(response: Response): Promise<string> {
    try {
      return await response.text()
    } catch (error) {
      throw new ConnectionError(this.#base, error)
    }
  }
}

interface ErrorBody {
  error?: { code?: unknown; message?: unknown; details?: Record<string, unknown>; request_id?: string }
  invocation?: Invocation
}

function unexpected(response: Response): ApiError {
  return new ApiError({
    code: 'unexpected_response',
    message: `${new URL(response.url).origin} answered ${response.status} with something that is not Cloister's: is this the right URL?`,
    status: response.status,
    requestId: response.headers.get('x-request-id'),
  })
}
