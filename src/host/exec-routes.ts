import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants } from 'node:os'
import type { Environment } from './exec/environment.ts'
import type { PipePool } from './exec/pipe-pool.ts'
import { Fields } from './fields.ts'
import { HostFailure } from './host-failure.ts'
import type { Operations } from './operations.ts'
import { parseJson, readJson } from './request-body.ts'
import type { SessionRoot } from './session-root.ts'
import type { ProcessStart } from './wire.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const GIB = 1024 * 1024 * 1024
export const MAX_STDIN_BYTES = 16 * 1024 * 1024

/** POST /exec: starts the operation, or attaches to the one that has the id. */
export async function exec(
  operations: Operations,
  root: SessionRoot,
  environment: Environment,
  pool: PipePool,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const streamed = request.headers['content-type'] === 'application/octet-stream'
  const fields = new Fields(streamed ? headerRequest(request) : await readJson(request))
  const id = fields.id('id')
  const known = operations.exec(id)
  if (known) {
    request.resume()
    known.attach(response, true)
    return
  }
  if (fields.optional('attach_only', (name) => fields.boolean(name)))
    throw new HostFailure('not_found', `no operation ${id} was ever seen`)
  const invocationId = fields.id('invocation_id')
  const own = fields.optional('env', (name) => fields.environment(name)) ?? {}
  const bare = fields.optional('without_secrets', (name) => fields.boolean(name)) ?? false
  const command = {
    id,
    invocation_id: invocationId,
    argv: argv(fields),
    cwd: root.workingDirectory(fields.optional('cwd', (name) => fields.string(name)) ?? '/session/code'),
    env: environment.compose(invocationId, own, !bare),
    stdin: streamed ? request : (fields.optional('stdin_base64', (name) => fields.base64(name, MAX_STDIN_BYTES)) ?? null),
    timeout_ms: fields.integer('timeout_ms', 1, DAY_MS),
    max_output_bytes: fields.integer('max_output_bytes', 0, GIB),
  }
  const operation = operations.newExec(id, invocationId)
  operation.attach(response, false)
  await operation.start(command, pool)
}

function headerRequest(request: IncomingMessage): unknown {
  const header = request.headers['x-cloister-exec']
  if (typeof header !== 'string') throw new HostFailure('invalid_argument', 'x-cloister-exec is missing')
  return parseJson(Buffer.from(header, 'base64').toString('utf8'), 'x-cloister-exec')
}

export function argv(fields: Fields): string[] {
  const values = fields.strings('argv', 1, 10_000, 1024 * 1024)
  if (values[0] === '') throw new HostFailure('invalid_argument', 'argv: the program has no name')
  return values
}

export function processStart(fields: Fields): ProcessStart {
  const cwd = fields.optional('cwd', (name) => fields.string(name))
  const env = fields.optional('env', (name) => fields.environment(name))
  const secrets = fields.optional('secrets', (name) => fields.strings(name, 0, 100, 16 * 1024))
  return {
    id: fields.id('id'),
    invocation_id: fields.id('invocation_id'),
    argv: argv(fields),
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(secrets === undefined ? {} : { secrets }),
  }
}

/** `TERM` or `SIGTERM`. */
export function signalName(fields: Fields, name: string): NodeJS.Signals {
  const value = fields.string(name, 16).replace(/^(SIG)?/, 'SIG')
  if (!Object.hasOwn(constants.signals, value)) throw new HostFailure('invalid_argument', `${name}: there is no such signal`)
  return value as NodeJS.Signals
}
