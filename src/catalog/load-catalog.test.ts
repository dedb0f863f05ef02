import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { OWN_TOOL_ERRORS } from '../domain/errors.ts'
import type { Catalog } from './catalog.ts'
import { loadCatalog } from './load-catalog.ts'

const catalog: Catalog = await loadCatalog()
const tools = catalog.list().map((tool) => [tool.metadata.name, tool] as const)

describe.each(tools)('%s', (name, tool) => {
  const { metadata } = tool
  const fields = Object.keys((metadata.input_schema['properties'] ?? {}) as object)

  it('is named after its file, and found by its name', () => {
    expect(name).toMatch(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/)
    expect(metadata.family).toBe(name.split('.')[0])
    expect(metadata.observability).toEqual({ trace_name: 'workspace.tools', span_name: name })
    expect(catalog.get(name)).toBe(tool)
  })

  it('has schemas that are JSON Schema of closed objects', () => {
    for (const schema of [metadata.input_schema, metadata.output_schema]) {
      expect(schema).toMatchObject({ type: 'object', properties: expect.any(Object), additionalProperties: false })
      // Reads every keyword, and throws on what is no schema.
      expect(() => z.fromJSONSchema(JSON.parse(JSON.stringify(schema)))).not.toThrow()
    }
  })

  it('says of every argument what it is, and of itself what it does and will not do', () => {
    expect(metadata.description.length).toBeGreaterThan(150)
    expect(metadata.description.length).toBeLessThan(1200)
    expect(metadata.description).toMatch(/^[A-Z].*\.$/)
    expect(metadata.description).not.toContain('\n')
    for (const [field, schema] of Object.entries(metadata.input_schema['properties'] as Record<string, { description?: string }>))
      expect(schema.description ?? '', field).toMatch(/.{10,}/)
  })

  it('has limits, a cost and an idempotency that follow from the rest', () => {
    const { timeout_seconds, max_retries, output_limit_kb } = metadata.constraints
    expect(timeout_seconds).toBeGreaterThan(0)
    expect(timeout_seconds).toBeLessThanOrEqual(600)
    expect([256, 1024, 2048]).toContain(output_limit_kb)
    expect(max_retries).toBe(metadata.side_effects === 'none' ? 1 : 0)
    expect(metadata.idempotency).toBe(
      { none: 'guaranteed', reversible: 'best-effort', irreversible: 'none' }[metadata.side_effects],
    )
    expect(metadata.cost_hint).toBe(timeout_seconds <= 30 ? 'low' : timeout_seconds <= 120 ? 'medium' : 'high')
    if (metadata.side_effects === 'irreversible') expect(metadata.requires_approval).toBe(true)
  })

  it('has an example that its schema accepts', () => {
    expect(metadata.examples.length).toBeGreaterThan(0)
    for (const { title, args } of metadata.examples) {
      expect(title).not.toBe('')
      expect(tool.input.safeParse(args)).toMatchObject({ success: true })
    }
  })

  it('names each of its errors once, in the order in which they are listed', () => {
    expect(metadata.errors).toEqual(OWN_TOOL_ERRORS.filter((code) => metadata.errors.includes(code)))
  })

  it('refuses arguments that it does not know', () => {
    const [example] = metadata.examples
    expect(tool.input.safeParse({ ...example?.args, no_such_argument: 1 }).success).toBe(false)
  })

  it('tells policy about arguments that it has, and about every path', () => {
    const { paths, patches, refs, command_args } = metadata.policy
    for (const field of [...paths.map((hint) => hint.field), ...patches, ...refs, ...command_args.map((hint) => hint.field)])
      expect(fields).toContain(field)
    const known = paths.map((hint) => hint.field)
    for (const field of fields.filter((each) => /(^|_)paths?$/.test(each))) expect(known).toContain(field)
    if (metadata.side_effects === 'none') expect(paths.filter((hint) => hint.access === 'write')).toEqual([])
  })

  it('names a text of its output to be cut', () => {
    const outputs = metadata.output_schema['properties'] as Record<string, { type?: string }>
    if (metadata.primary_output !== null) expect(outputs[metadata.primary_output]).toMatchObject({ type: 'string' })
  })

  it('cannot be changed', () => {
    expect(Object.isFrozen(tool)).toBe(true)
    expect(() => metadata.policy.paths.push({ field: 'x', access: 'read' })).toThrow(TypeError)
    expect(() => Object.assign(metadata.constraints, { timeout_seconds: 1 })).toThrow(TypeError)
  })
})

describe('the catalog', () => {
  it('has the tools of the first slice, sorted', () => {
    const names = tools.map(([name]) => name)
    expect(names).toEqual([...names].sort())
    for (const name of [
      'fs.edit',
      'fs.list',
      'fs.read',
      'fs.search',
      'fs.write',
      'git.apply_patch',
      'git.diff',
      'git.status',
      'policy.check',
      'repo.run_tests',
    ])
      expect(names).toContain(name)
    expect(catalog.get('fs.nothing')).toBeNull()
    expect(catalog.get('__proto__')).toBeNull()
  })

  it('is not changed through what it lists', () => {
    catalog.list().length = 0
    expect(catalog.list().length).toBe(tools.length)
  })
})

describe('loadCatalog', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'catalog-'))
    mkdirSync(join(folder, 'fam'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const defineTool = JSON.stringify(fileURLToPath(new URL('./define-tool.ts', import.meta.url)))
  const zod = JSON.stringify(import.meta.resolve('zod'))
  const tool = (name: string) => `import { z } from ${zod}
import { defineTool } from ${defineTool}
export default defineTool({ name: '${name}', description: 'x', input: z.object({}), output: z.object({}), scope: 'repo', side_effects: 'none',
  risk_level: 'low', requires_approval: false, timeout_seconds: 5, errors: [], examples: [], handler: async () => ({ output: {} }) })\n`
  const plant = (file: string, content: string) => writeFileSync(join(folder, file), content)

  it('takes files with plain names for tools, and leaves the rest alone', async () => {
    plant('fam/one.ts', tool('fam.one'))
    plant('fam/two_words.ts', tool('fam.two_words'))
    plant('fam/shared-module.ts', 'throw new Error("loaded")\n')
    plant('fam/one.test.ts', 'throw new Error("loaded")\n')
    plant('fam/two_words.test.ts', 'throw new Error("loaded")\n')
    plant('fam/one.sample.ts', 'throw new Error("loaded")\n')
    plant('fam/sub.three.ts', tool('fam.sub.three'))
    plant('fam/README.md', '')
    mkdirSync(join(folder, 'fam/parts'))
    plant('fam/parts/four.ts', 'throw new Error("loaded")\n')
    plant('module.ts', 'throw new Error("loaded")\n')
    const names = (await loadCatalog(folder)).list().map((each) => each.metadata.name)
    expect(names).toEqual(['fam.one', 'fam.sub.three', 'fam.two_words'])
  })

  it.each([
    ['a tool of another name', tool('fam.other'), /fam\/one\.ts holds fam\.other, not fam\.one/],
    ['no tool', 'export default {}\n', /no tool as its default export/],
    ['no default export', 'export const x = 1\n', /no tool as its default export/],
  ])('refuses a file with %s', async (_, content, message) => {
    plant('fam/one.ts', content)
    await expect(loadCatalog(folder)).rejects.toThrow(message)
  })
})
