import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { CatalogView } from '../../catalog/define-tool.ts'
import { loadCatalog } from '../../catalog/load-catalog.ts'
import type { ToolMetadata } from '../../domain/tool.ts'
import type { ToolStatistics } from '../../domain/tool-statistics.ts'
import { rankTools } from './rank-tools.ts'
import suggest from './suggest.ts'

interface Answer {
  count: number
  suggestions: { name: string; score: number; description: string; risk_level: string; why: string; record: object | null }[]
}

const all = (await loadCatalog()).list().map((tool) => tool.metadata)
const view = (tools: ToolMetadata[], statistics: Record<string, ToolStatistics> = {}): CatalogView => ({
  list: () => tools,
  get: (name) => tools.find((tool) => tool.name === name) ?? null,
  statistics: async () => new Map(Object.entries(statistics)),
})
const record = (succeeded: number, failed = 0, denied = 0, p95_duration_ms = 40): ToolStatistics => ({
  window_days: 30,
  calls: succeeded + failed + denied,
  succeeded,
  failed,
  denied,
  success_rate: succeeded + failed === 0 ? null : succeeded / (succeeded + failed),
  p95_duration_ms,
})

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())

const call = async (args: object, tools = all) =>
  (await workspace.call(suggest, { ...args }, { catalog: view(tools) })).output as unknown as Answer
const names = async (args: object, tools = all) => (await call(args, tools)).suggestions.map(({ name }) => name)

describe('tool.suggest', () => {
  it.each([
    ['read a file', 'fs.read'],
    ['grep for a pattern in the source', 'fs.search'],
    ['rename a file', 'fs.move'],
    ['commit my changes', 'git.commit'],
    ['who wrote this line?', 'git.blame'],
    ['switch to another branch', 'git.checkout'],
    ['publish the branch to the remote', 'git.push'],
    ['run the tests', 'repo.run_tests'],
    ['undo my last edit', 'workspace.undo_edit'],
    ['would this call be allowed by policy', 'policy.check'],
    ['delete a directory', 'fs.delete'],
    ['stop the background process', 'process.stop'],
  ])('%s: %s is among the first three', async (task, wanted) => {
    expect((await names({ task })).slice(0, 3)).toContain(wanted)
  })

  it('explains its scores, which add up', async () => {
    const { suggestions } = await call({ task: 'find a pattern in files' })
    for (const { score, why } of suggestions) {
      const parts = why.split(', ').map((part) => Number(part.split(' ').at(-1)))
      expect(parts.every((part) => part > 0)).toBe(true)
      expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(score, 1)
    }
    expect(suggestions[0]?.why).toMatch(/(name|family|example|argument|description): /)
    expect(suggestions.map(({ score }) => score)).toEqual(suggestions.map(({ score }) => score).toSorted((a, b) => b - a))
    expect(suggestions[0]?.description).toMatch(/\.$/)
  })

  it('takes points away for failures, refusals and slowness, and says so; the parts still add up', async () => {
    const task = 'find a pattern in files'
    const [best, second] = (await call({ task })).suggestions as [Answer['suggestions'][0], Answer['suggestions'][0]]
    expect(best.record).toBeNull()
    const poor = { [best.name]: record(10, 90, 100, 163_840), [second.name]: record(100) }
    const answer = (await workspace.call(suggest, { task, top_k: 20 }, { catalog: view(all, poor) })).output as unknown as Answer
    const judged = answer.suggestions.find(({ name }) => name === best.name)
    expect(judged?.score).toBeLessThan(best.score * 0.6)
    expect(judged?.why).toMatch(
      /record: 10 of 100 calls succeeded -[\d.]+, record: 100 of 200 calls refused -[\d.]+, record: p95 163\.84 s -[\d.]+$/,
    )
    expect(judged?.record).toEqual({ calls: 200, success_rate: 0.1, denied: 100, p95_duration_ms: 163_840 })
    const points = judged?.why.split(', ').map((part) => Number(part.split(' ').at(-1))) ?? []
    expect(points.reduce((sum, each) => sum + each, 0)).toBeCloseTo(judged?.score ?? 0, 1)
    const clean = answer.suggestions.find(({ name }) => name === second.name)
    expect([clean?.score, clean?.why]).toEqual([second.score, second.why])
    expect(answer.suggestions.findIndex(({ name }) => name === best.name)).toBeGreaterThan(
      answer.suggestions.findIndex(({ name }) => name === second.name),
    )
  })

  it('does not judge by a handful of calls', async () => {
    const answer = async (statistics: ToolStatistics) =>
      (await workspace.call(suggest, { task: 'read a file' }, { catalog: view(all, { 'fs.read': statistics }) }))
        .output as unknown as Answer
    expect((await answer(record(0, 4))).suggestions[0]?.why).not.toContain('record:')
    expect((await answer(record(0, 40))).suggestions.find(({ name }) => name === 'fs.read')?.why).toContain('record:')
  })

  it('gives the same answer to the same question, however the catalog is ordered', async () => {
    const first = await call({ task: 'show what changed in git', top_k: 20 })
    expect(await call({ task: 'show what changed in git', top_k: 20 }, all.toReversed())).toEqual(first)
  })

  it('knows only what the session may use, of the scope and family that are asked for', async () => {
    const few = all.filter((tool) => tool.family === 'fs')
    expect((await names({ task: 'commit to git, read files', top_k: 20 }, few)).every((name) => name.startsWith('fs.'))).toBe(
      true,
    )
    expect((await names({ task: 'list files', family: 'git', top_k: 20 })).every((name) => name.startsWith('git.'))).toBe(true)
    const scopes = new Set(
      (await names({ task: 'list files', scope: 'repo', top_k: 20 })).map(
        (name) => all.find((tool) => tool.name === name)?.scope,
      ),
    )
    expect([...scopes]).toEqual(['repo'])
    expect(await call({ task: 'list files', scope: 'cluster' })).toMatchObject({ count: 0, suggestions: [] })
    expect(await call({ task: 'list files' }, [])).toMatchObject({ count: 0 })
    expect(await names({ task: 'suggest a tool', top_k: 20 })).not.toContain('tool.suggest')
  })

  it('suggests nothing when nothing fits, and no more than it is asked for', async () => {
    expect(await call({ task: 'xyzzy plugh' })).toEqual({ task: 'xyzzy plugh', suggestions: [], count: 0 })
    expect(await call({ task: 'the of and' })).toMatchObject({ count: 0 })
    expect(await call({ task: 'file', top_k: 2 })).toMatchObject({ count: 2 })
    expect(await call({ task: 'file' })).toMatchObject({ count: 5 })
  })

  it('takes the less risky of two that fit alike', () => {
    const [tool] = all as [ToolMetadata]
    const twins = (['high', 'low', 'medium'] as const).map((risk_level) => ({ ...tool, risk_level }))
    expect(rankTools(tool.description, twins).map((ranked) => ranked.tool.risk_level)).toEqual(['low', 'medium', 'high'])
  })

  it('sees through endings', () => {
    const score = (task: string) => rankTools(task, all).find(({ tool }) => tool.name === 'fs.search')?.score
    expect(score('searching')).toBe(score('search'))
    expect(score('searches')).toBe(score('search'))
    expect(score('searched')).toBe(score('search'))
  })

  it('is not taken in by names of objects that every language has', async () => {
    expect(await call({ task: 'constructor __proto__ toString hasOwnProperty' })).toMatchObject({ count: 0 })
  })

  it.each([
    {},
    { task: '' },
    { task: '  ' },
    { task: 7 },
    { task: 'x'.repeat(2001) },
    { task: 'x', top_k: 0 },
    { task: 'x', top_k: 21 },
    { task: 'x', scope: 'all' },
    { task: 'x', family: 1 },
  ])('does not accept %#', (args) => {
    expect(suggest.input.safeParse(args).success).toBe(false)
  })
})
