import { describe, expect, it } from 'vitest'
import { ToolNames } from './tool-names.ts'

describe('tool names', () => {
  it('come back as they were, though several would be written alike', () => {
    const canonical = ['repo.run_tests', 'a.b_c', 'a_b.c', 'a_b_c', 'go.mod.tidy', `x.${'y'.repeat(100)}`, `x.${'y'.repeat(101)}`]
    const names = new ToolNames(canonical)
    const given = canonical.map((name) => names.toModel(name))
    expect(new Set(given).size).toBe(canonical.length)
    for (const name of given) expect(name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/)
    expect(given.map((name) => names.fromModel(name))).toEqual(canonical)
    expect(names.toModel('repo.run_tests')).toBe('repo_run_tests')
  })

  it('do not depend on the order of the catalog', () => {
    const forward = new ToolNames(['a.b_c', 'a_b.c'])
    const backward = new ToolNames(['a_b.c', 'a.b_c'])
    expect(forward.toModel('a.b_c')).toBe(backward.toModel('a.b_c'))
  })

  it('that were not given are none', () => {
    expect(new ToolNames(['fs.read']).fromModel('fs_write')).toBeNull()
    expect(new ToolNames(['fs.read']).fromModel('constructor')).toBeNull()
  })
})
