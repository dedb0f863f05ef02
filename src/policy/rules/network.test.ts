import { expect, it } from 'vitest'
import { sampleRequest } from '../request.sample.ts'
import { network } from './network.ts'

it.each([
  { needs: false, has: 'none', refused: false },
  { needs: false, has: 'host', refused: false },
  { needs: true, has: 'none', refused: true },
  { needs: true, has: 'host', refused: false },
] as const)('a tool that needs network: $needs, session with network $has: refused $refused', ({ needs, has, refused }) => {
  const request = sampleRequest({ session: { network: has }, tool: { policy: { needs_network: needs } } })
  expect(network.check(request) !== null).toBe(refused)
})
