import { expect, it } from 'vitest'
import { connectorToolNames } from './tool-names.ts'

const nameOf = (name: string, connector = 'srv') => connectorToolNames(connector, [name]).get(name)

it.each([
  ['echo', 'srv.echo'],
  ['get-sum', 'srv.get_sum'],
  ['readFile', 'srv.read_file'],
  ['a.b/c', 'srv.a_b_c'],
  ['2fa', 'srv.tool_2fa'],
  ['__x__', 'srv.x'],
  ['---', 'srv.tool'],
])('%s is %s', (given, name) => {
  expect(nameOf(given)).toBe(name)
})

it('names that meet get a number, in an order of their own', () => {
  const names = ['get_sum', 'get-sum', 'getSum']
  const given = connectorToolNames('srv', names)
  expect(new Set(given.values()).size).toBe(3)
  expect(connectorToolNames('srv', names.toReversed())).toEqual(given)
})

it('names that are too long stay apart', () => {
  const [a, b] = [`${'x'.repeat(100)}a`, `${'x'.repeat(100)}b`]
  const given = [...connectorToolNames('a'.repeat(31), [a, b]).values()]
  expect(new Set(given).size).toBe(2)
  for (const name of given) expect(name.length).toBeLessThanOrEqual(64)
})
