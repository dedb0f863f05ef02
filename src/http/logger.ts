import { type DestinationStream, type Logger, pino } from 'pino'
import { activeTraceId } from '../telemetry/tracing.ts'

/** Wherever one of these keys turns up in what is logged, at the first levels of nesting, its value is not. */
const CONFIDENTIAL = ['authorization', 'cookie', 'x-workspace-auth-token', 'password', 'token', 'secrets', 'api_key']

const paths = CONFIDENTIAL.flatMap((key) => [`["${key}"]`, `*["${key}"]`, `*.*["${key}"]`])

/**
 * The server's log: JSON lines, time in RFC 3339, confidential fields replaced.
 * @param destination default: standard output
 */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error' | 'silent', destination?: DestinationStream): Logger {
  const options = {
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    base: null,
    formatters: { level: (label: string) => ({ level: label }) },
    // Also of what is logged deep inside a service, on behalf of a request or a turn.
    mixin: (_line: object, _level: number, logger: Logger) => {
      const trace_id = activeTraceId()
      return trace_id === null || 'trace_id' in logger.bindings() ? {} : { trace_id }
    },
    redact: { paths, censor: '[redacted]' },
  }
  return destination ? pino(options, destination) : pino(options)
}
