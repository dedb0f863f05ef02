import type { lookup } from 'node:dns'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HttpSource } from '../../domain/connector.ts'
import { guardedFetch, MOST_REQUESTS } from './guarded-fetch.ts'

let port: number
let reached = 0
const server = createServer((request, response) => {
  reached++
  if (request.url === '/never') return
  if (request.url === '/endless') return void response.write('here, and ')
  response.end('here')
})
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const source = (url: string, fields: Partial<HttpSource> = {}): HttpSource => ({
  kind: 'http',
  url,
  headers: {},
  allow_loopback_http: false,
  allow_private_addresses: [],
  ...fields,
})

/** A name server that answers with these addresses. */
const answering = (...addresses: string[]) =>
  ((_name: string, _options: object, callback: (...answer: unknown[]) => void) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )) as unknown as typeof lookup

const get = (given: HttpSource, names = answering('127.0.0.1'), url = given.url) =>
  guardedFetch({ source: given, headers: {}, longest_ms: 10_000, lookup: names })(url, { method: 'POST', body: '{}' })

describe('what a connector may reach', () => {
  it('is loopback where the configuration says so', async () => {
    const given = source(`http://localhost:${port}/`, { allow_loopback_http: true })
    expect(await (await get(given)).text()).toBe('here')
    const listed = source(`http://anything.example:${port}/`, { allow_private_addresses: ['127.0.0.0/8'] })
    expect(await (await get(listed)).text()).toBe('here')
  })

  it.each([
    ['loopback', ['127.0.0.1']],
    ['loopback in IPv6', ['::1']],
    ['loopback as a mapped address', ['::ffff:127.0.0.1']],
    ['a private network', ['10.1.2.3']],
    ["a cloud's metadata", ['169.254.169.254']],
    ['one private address among public ones', ['93.184.216.34', '192.168.1.1']],
  ])('is not %s', async (_what, addresses) => {
    const before = reached
    await expect(get(source(`http://anything.example:${port}/`), answering(...addresses))).rejects.toThrow(/private address/)
    expect(reached).toBe(before)
  })

  it.each(['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '10.0.0.1'])('is not the address %s itself', async (host) => {
    await expect(get(source(`http://${host}:${port}/`))).rejects.toThrow(/private address/)
  })

  it('is not a name that leads elsewhere than loopback, where only loopback is let in', async () => {
    const given = source(`http://localhost:${port}/`, { allow_loopback_http: true })
    await expect(get(given, answering('10.0.0.1'))).rejects.toThrow(/private address/)
  })

  it('is not another origin than its own', async () => {
    const given = source(`http://127.0.0.1:${port}/`, { allow_loopback_http: true })
    const before = reached
    await expect(get(given, answering('127.0.0.1'), `http://127.0.0.1:${port + 1}/`)).rejects.toThrow(/another place/)
    expect(reached).toBe(before)
  })
})

describe('requests of a connector', () => {
  const home = () => `http://127.0.0.1:${port}/`
  const post = { method: 'POST', body: '{}' }
  const fetching = (longest_ms: number) =>
    guardedFetch({ source: source(home(), { allow_loopback_http: true }), headers: {}, longest_ms })

  it.each(['never', 'endless'])('are so many at a time, and none for ever (%s)', async (path) => {
    const fetch = fetching(1000)
    const before = reached
    const asked = Array.from({ length: MOST_REQUESTS + 8 }, async () => (await fetch(`${home()}${path}`, post)).text())
    let ends = 0
    for (const one of asked.slice(0, MOST_REQUESTS)) one.catch(() => ends++)
    const refused = await Promise.allSettled(asked.slice(MOST_REQUESTS))
    const unreachable = { status: 'rejected', reason: expect.objectContaining({ code: 'unreachable' }) }
    expect(refused).toEqual(refused.map(() => unreachable))
    // At once: none that was let in has ended yet.
    expect(ends).toBe(0)
    const ended = await Promise.allSettled(asked)
    expect(ended.filter(({ status }) => status === 'fulfilled')).toEqual([])
    expect(reached - before).toBe(MOST_REQUESTS)
    expect(await (await fetch(home(), post)).text()).toBe('here')
  })

  it('are never for a stream that stands', async () => {
    const before = reached
    expect((await fetching(1000)(home())).status).toBe(405)
    expect(reached).toBe(before)
  })
})
