import { SpanKind } from '@opentelemetry/api'
import { failed, inSpan } from '../telemetry/tracing.ts'
import type { ModelAnswer } from './model-call.ts'
import { ModelFailure } from './model-failure.ts'

/** One model call as a span, with the names of OpenTelemetry's conventions for generative AI. Nothing of what was said is in it. */
export async function inModelSpan(model: string, call: () => Promise<ModelAnswer>): Promise<ModelAnswer> {
  const attributes = { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': model }
  const outcome = await inSpan(`chat ${model}`, { kind: SpanKind.CLIENT, attributes }, async (span) => {
    try {
      const answer = await call()
      span.setAttributes({
        'gen_ai.usage.input_tokens': answer.usage.input_tokens,
        'gen_ai.usage.output_tokens': answer.usage.output_tokens,
        'gen_ai.response.finish_reasons': [answer.finish_reason],
        ...(answer.response_model !== null && { 'gen_ai.response.model': answer.response_model }),
      })
      return { answer }
    } catch (error) {
      failed(span, error instanceof ModelFailure ? error.kind : 'aborted')
      return { error }
    }
  })
  if ('answer' in outcome) return outcome.answer
  throw outcome.error
}
