import { expect, it } from 'vitest'
import { loadCatalog } from './load-catalog.ts'
import { offeredTools } from './offered-tools.ts'

const catalog = await loadCatalog()
const names = (shell: boolean) =>
  offeredTools(catalog, { CLOISTER_SHELL: shell })
    .list()
    .map((tool) => tool.metadata.name)

it('leaves out what needs a setting that is off, and nothing else', () => {
  const all = catalog.list().map((tool) => tool.metadata.name)
  expect(all).toContain('shell.exec')
  expect(names(true)).toEqual(all)
  expect(names(false)).toEqual(all.filter((name) => name !== 'shell.exec'))
  expect(offeredTools(catalog, { CLOISTER_SHELL: false }).get('shell.exec')).toBeNull()
  expect(offeredTools(catalog, { CLOISTER_SHELL: true }).get('shell.exec')).toBe(catalog.get('shell.exec'))
})
