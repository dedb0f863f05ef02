import { trace } from '@opentelemetry/api'

/** When the server stops, the last spans have so long to be sent, in ms. */
const LAST_SPANS_MS = 3000

export interface TracingOptions {
  /** Of a collector that takes OTLP over HTTP; `/v1/traces` is added. Absent: nothing is exported, and nothing is loaded. */
  endpoint: string | undefined
  version: string
}

/** Spans are sent from here on, in batches. A collector that is away costs nothing but its spans. */
export async function startTracing({ endpoint, version }: TracingOptions): Promise<{ stop(): Promise<void> }> {
  if (endpoint === undefined) return { stop: async () => undefined }
  const [{ BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces`, timeoutMillis: LAST_SPANS_MS })
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'cloister', 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor({ exporter, exportTimeoutMillis: LAST_SPANS_MS })],
  })
  trace.setGlobalTracerProvider(provider)
  return {
    stop: async () => {
      // The last spans are worth an attempt, and a collector that is away does not hold up the end.
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LAST_SPANS_MS)
      })
      await Promise.race([provider.shutdown().catch(() => undefined), late])
      clearTimeout(timer)
      trace.disable()
    },
  }
}
