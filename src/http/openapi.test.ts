import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { generateOpenapi, OPENAPI_FILE } from '../../scripts/generate-openapi.ts'

interface Operation {
  operationId: string
  summary: string
  tags: string[]
  security?: unknown[]
  parameters?: { in: string; name: string; required?: boolean }[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Record<string, unknown> }> }
  responses: Record<string, { description: string; content?: Record<string, { schema: { $ref?: string } }> }>
}

interface Document {
  openapi: string
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, unknown> }
}

const text = await generateOpenapi()
const document = JSON.parse(text) as Document
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
)

describe('the OpenAPI document', () => {
  test('is the committed one (npm run generate writes it)', () => {
    expect(text).toBe(readFileSync(OPENAPI_FILE, 'utf8'))
  })

  test('is 3.1 and whole: every reference leads somewhere, and nothing is there for nothing', () => {
    expect(document.openapi).toBe('3.1.0')
    const used = new Set([...text.matchAll(/"\$ref": "([^"]+)"/g)].map(([, target]) => target))
    const there = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`)
    expect([...used].sort()).toEqual(there.sort())
    expect(text).not.toContain('PLACEHOLDER')
  })

  test('says of every operation what it is and what it answers', () => {
    expect(operations.length).toBeGreaterThan(40)
    expect(new Set(operations.map((each) => each.operationId)).size).toBe(operations.length)
    const tags = document.tags.map((tag) => tag.name)
    for (const each of operations) {
      const where = `${each.method} ${each.path}`
      expect(each.operationId, where).toMatch(/^[a-z][A-Za-z]+$/)
      expect(each.summary.length, where).toBeGreaterThan(4)
      expect(tags, where).toEqual(expect.arrayContaining(each.tags))
      const inPath = [...each.path.matchAll(/\{([a-z_]+)\}/g)].map(([, name]) => name)
      const declared = (each.parameters ?? []).filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name)
      expect(declared.sort(), where).toEqual(inPath.sort())
      const statuses = Object.keys(each.responses)
      expect(
        statuses.some((status) => status.startsWith('2')),
        where,
      ).toBe(true)
      if (each.security === undefined) expect(statuses, where).toEqual(expect.arrayContaining(['400', '401', '500', '503']))
      if (inPath.length > 0) expect(statuses, where).toContain('404')
      for (const [status, response] of Object.entries(each.responses)) {
        // 304 has no body.
        if (/^[23]/.test(status) || each.operationId === 'readyz') continue
        expect(response.content?.['application/json']?.schema, `${where} ${status}`).toEqual({
          $ref: '#/components/schemas/Error',
        })
      }
    }
  })

  test('bodies refuse unknown fields, and those that may be left out say so', () => {
    for (const each of operations) {
      const schema = each.requestBody?.content['application/json']?.schema
      // JSON-RPC is for MCP to check.
      if (!schema || each.operationId === 'sendMcpMessage') continue
      const resolved = schema['$ref'] ? document.components.schemas[String(schema['$ref']).split('/').at(-1) as string] : schema
      expect(resolved, each.operationId).toMatchObject({ type: 'object', additionalProperties: false })
    }
    const required = (id: string) => operations.find((each) => each.operationId === id)?.requestBody?.required
    expect([required('closeSession'), required('approveApproval'), required('postMessage')]).toEqual([false, false, true])
  })

  test('a session is the only resource: nothing is named after what other systems have', () => {
    const words = /^(workspaces?|spaces?|agents?|builds?|secrets?)$/i
    const names = [
      ...Object.keys(document.paths).flatMap((path) => path.split('/')),
      ...Object.keys(document.components.schemas),
      ...document.tags.map((tag) => tag.name),
    ]
    expect(names.filter((name) => words.test(name.replaceAll(/[{}]|_id/g, '')))).toEqual([])
    expect(operations.filter((each) => /Space|Agent|Build|Secret/.test(each.operationId))).toEqual([])
  })

  test('every list comes in pages; tools and connectors, which are bounded, and the events, which go by their number, do not', () => {
    const lists = operations.filter(({ method, responses }) => {
      const schema = responses['200']?.content?.['application/json']?.schema as { properties?: Record<string, { type?: string }> }
      return method === 'get' && Object.values(schema?.properties ?? {}).some(({ type }) => type === 'array')
    })
    const paged = lists.filter(({ parameters = [], responses }) => {
      const names = parameters.map(({ name }) => name)
      const schema = responses['200']?.content?.['application/json']?.schema as { properties?: Record<string, unknown> }
      return names.includes('limit') && names.includes('cursor') && 'next_cursor' in (schema.properties ?? {})
    })
    expect(lists.length).toBeGreaterThan(9)
    const whole = lists.filter((each) => !paged.includes(each)).map(({ operationId }) => operationId)
    expect(whole.sort()).toEqual(['getConnector', 'listConnectors', 'listEvents', 'listTools'])
  })

  test('needs a credential unless it says otherwise', () => {
    const open = operations.filter((each) => each.security?.length === 0).map((each) => each.path)
    expect(open.sort()).toEqual(['/healthz', '/metrics', '/openapi.json', '/readyz', '/v1/auth/login', '/v1/version'])
  })
})
