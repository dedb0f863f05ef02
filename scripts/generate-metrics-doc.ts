import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { makeMetrics } from '../src/telemetry/metrics.ts'

/** Where the committed copy is. */
export const METRICS_DOC_FILE = fileURLToPath(new URL('../docs/metrics.md', import.meta.url))

const HEAD = `# Metrics

\`GET /metrics\` answers in the Prometheus text format, without a credential: let it be reached only by who may know how much is
going on. No label holds an id, or anything that a caller or a sandbox wrote but the names of models, of which the first 50 are told
apart. Histograms have \`_bucket\`, \`_sum\` and \`_count\`.
Besides these there are the usual \`process_*\` and \`nodejs_*\` of the server itself. Counters begin at zero with the process.
Generated from \`src/telemetry/metrics.ts\` by \`scripts/generate-metrics-doc.ts\`.

| metric | type | labels | what it is |
|---|---|---|---|
`

const TRACES = `
## Traces

With \`OTEL_EXPORTER_OTLP_ENDPOINT\` set, spans are sent there by OTLP over HTTP (\`<endpoint>/v1/traces\`, service \`cloister\`).

| span | kind | attributes |
|---|---|---|
| \`<method> <route>\` | server | \`http.request.method\`, \`http.route\`, \`http.response.status_code\`, \`cloister.request_id\` |
| the tool's name | internal | \`cloister.session_id\`, \`cloister.invocation_id\`, \`cloister.tool_name\`, \`cloister.actor_kind\`, \`cloister.status\`, \`error.type\` |
| \`turn\` | internal | \`cloister.session_id\`, \`cloister.turn_id\`, \`cloister.status\` |
| \`chat <model>\` | client | \`gen_ai.request.model\`, \`gen_ai.response.model\`, \`gen_ai.usage.input_tokens\`, \`gen_ai.usage.output_tokens\`, \`error.type\` |

A \`traceparent\` header (W3C Trace Context) is honoured. The trace id is on every log line of a request, and on the record of every
invocation, also when nothing is exported. An agent's turn is a trace of its own, which its model calls and invocations belong to.
Arguments, outputs, prompts and answers are in no span.
`

/** The page as it is committed. */
export async function generateMetricsDoc(): Promise<string> {
  const registry = new Registry()
  makeMetrics(registry, { openStreams: () => 0, countSessions: async () => ({}), countConnectors: () => ({}) })
  const rows = registry.getMetricsAsArray().map((metric) => {
    const { name, help, labelNames = [] } = metric as unknown as { name: string; help: string; labelNames?: string[] }
    return { name, help, labels: labelNames.map((label) => `\`${label}\``).join(', ') }
  })
  const types = new Map((await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]))
  rows.sort((a, b) => (a.name < b.name ? -1 : 1))
  const table = rows.map(({ name, help, labels }) => `| \`${name}\` | ${types.get(name)} | ${labels} | ${help} |\n`)
  return `${HEAD}${table.join('')}${TRACES}`
}

if (import.meta.main) {
  writeFileSync(METRICS_DOC_FILE, await generateMetricsDoc())
  process.stdout.write(`wrote ${METRICS_DOC_FILE}\n`)
}
