import { describe, expect, it } from 'vitest'
import { loadCatalog } from '../../catalog/load-catalog.ts'
import { compactTool } from './tool.ts'

const rows = (await loadCatalog()).list().map(({ metadata }) => compactTool(metadata))

/** A model reads them all before it has done anything: what they may cost is a promise. */
describe('compact rows', () => {
  it.each(rows.map((row) => [row.name, row] as const))('%s is below 240 bytes, and says what the tool does', (_, row) => {
    expect(Buffer.byteLength(JSON.stringify(row))).toBeLessThan(240)
    expect(row.description).toMatch(/^[A-Z].{10,}[.…]$/)
    expect(row).not.toHaveProperty('input_schema')
  })

  it('of the whole catalog are below 20 KiB', () => {
    expect(rows.length).toBeGreaterThan(70)
    expect(Buffer.byteLength(JSON.stringify({ tools: rows }))).toBeLessThan(20 * 1024)
  })
})
