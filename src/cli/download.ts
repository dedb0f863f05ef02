import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CliError } from './cli-error.ts'
import { EXIT } from './exit-codes.ts'
import type { Output } from './output.ts'
import { size } from './render.ts'

/**
 * Where a download goes: to stdout as it is, also with `--json`, or into a file.
 * @param path undefined: stdout
 * @throws CliError when the file cannot be written
 */
export async function saveOrPrint(content: AsyncIterable<Uint8Array>, path: string | undefined, out: Output): Promise<void> {
  if (path === undefined) return await out.raw(content)
  const file = createWriteStream(path)
  let problem: Error | undefined
  file.once('error', (error) => {
    problem = error
  })
  try {
    await pipeline(Readable.from(content), file)
  } catch (error) {
    if (problem === undefined || error !== problem) throw error
    throw new CliError('usage', EXIT.usage, `cannot write ${path}: ${problem.message}`)
  }
  out.result({ file: path, size_bytes: file.bytesWritten }, () => `wrote ${path}, ${size(file.bytesWritten)}`)
}
