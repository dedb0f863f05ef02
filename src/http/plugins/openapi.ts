import swagger from '@fastify/swagger'
import scalar from '@scalar/fastify-api-reference'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import type { App } from '../app-type.ts'

const TAGS = {
  server: 'Health, metrics, versions.',
  auth: 'Login and API tokens.',
  users: 'Users. Admins only.',
  'role-bindings': 'Who is an admin. Admins only.',
  sessions: 'Sessions and their life.',
  messages: 'The conversation with the agent.',
  events: 'The append-only log.',
  files: 'Raw files of a session.',
  tools: 'What can be done in a session, and doing it.',
  invocations: 'Records of tool calls.',
  approvals: "People's decisions about calls.",
  mcp: "A session's tools over the Model Context Protocol.",
  connectors: 'MCP servers of the configuration. Admins only.',
}

/** The OpenAPI document, generated from the schemas of the routes that are added later. Served by routes/documents. */
export function openapi(app: App, version: string): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Cloister',
        version,
        description:
          'A self-hosted runtime for AI-agent sessions. Unknown fields are refused by name; every error has one shape.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: "A login token, an API token, or a session's token." },
        },
      },
      security: [{ bearer: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => tidy(withoutUnused(jsonSchemaTransformObject(document))),
  })
}

/** The page starts the viewer by an inline script and styles itself inline; it holds no credential and no user's text. */
const DOCS_POLICY = [
  "default-src 'self'",
  "script-src 'self' 'unsafe-inline'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** A page for people at `/docs`, from files of this server alone: no other host is asked for scripts or fonts. */
export function docs(app: App): void {
  app.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, public: true }
    })
    scope.addHook('onSend', async (_request, reply) => {
      reply.header('content-security-policy', DOCS_POLICY)
    })
    scope.register(scalar, {
      routePrefix: '/docs',
      logLevel: 'silent',
      configuration: {
        url: '/openapi.json',
        withDefaultFonts: false,
        telemetry: false,
        showDeveloperTools: 'never',
        hideClientButton: true,
        agent: { disabled: true },
        mcp: { disabled: true },
      },
    })
  })
}

type Document = ReturnType<typeof jsonSchemaTransformObject>

/** The schema registry names each schema twice, as input and as output. What nothing refers to is left out. */
function withoutUnused(document: Document): Document {
  const openapi = document as { components?: { schemas?: Record<string, unknown> } }
  const all = openapi.components?.schemas ?? {}
  const used = new Set<string>()
  const visit = (value: unknown): void => {
    for (const [, name] of (JSON.stringify(value) ?? '').matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (name === undefined || used.has(name)) continue
      used.add(name)
      visit(all[name])
    }
  }
  visit({ ...openapi, components: { ...openapi.components, schemas: {} } })
  const schemas = Object.fromEntries(Object.entries(all).filter(([name]) => used.has(name)))
  return { ...document, components: { ...openapi.components, schemas } } as Document
}

interface Operation {
  requestBody?: { required?: boolean; content: Record<string, { schema: { type?: string; anyOf?: { type?: string }[] } }> }
  responses: Record<string, { description: string }>
}

/** Says what the generator cannot know: a body that may be left out is not required, and what an answer without a description is. */
function tidy(document: Document): Document {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Operation>> }
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
    for (const response of Object.values(operation.responses))
      if (response.description === 'Default Response') response.description = 'It was done.'
    const content = operation.requestBody?.content['application/json']
    const some = content?.schema.anyOf?.filter((schema) => schema.type !== 'null')
    if (operation.requestBody && content && some?.length === 1 && some[0]) {
      operation.requestBody.required = false
      content.schema = some[0]
    }
  }
  return document
}
