import { Fields } from './fields.ts'
import { HostFailure } from './host-failure.ts'
import { parseJson } from './request-body.ts'
import type { HostBoot } from './wire.ts'

const MAX_BOOT_BYTES = 1024 * 1024

/** Reads the one JSON line on standard input. Throws when it is cut, too long, or not what it should be. */
export async function readBoot(input: AsyncIterable<Buffer>): Promise<HostBoot> {
  let text = ''
  for await (const chunk of input) {
    text += chunk.toString('utf8')
    const end = text.indexOf('\n')
    if (end >= 0) return parseBoot(text.slice(0, end))
    if (text.length > MAX_BOOT_BYTES) break
  }
  throw new HostFailure('invalid_argument', 'standard input holds no boot line')
}

function parseBoot(line: string): HostBoot {
  const fields = new Fields(parseJson(line, 'the boot line'))
  const prefix = fields.optional('prefix', (name) => fields.string(name))
  const token = fields.string('token', 512)
  if (token.length < 32) throw new HostFailure('invalid_argument', 'token: at least 32 characters are wanted')
  return {
    token,
    session_id: fields.id('session_id'),
    generation: fields.integer('generation', 0, Number.MAX_SAFE_INTEGER),
    epoch: fields.integer('epoch', 0, Number.MAX_SAFE_INTEGER),
    base_env: fields.environment('base_env'),
    ...(prefix === undefined ? {} : { prefix }),
  }
}
