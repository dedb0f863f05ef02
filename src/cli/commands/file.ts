import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { contextOf } from '../context.ts'
import { saveOrPrint } from '../download.ts'
import { EXIT } from '../exit-codes.ts'
import { size } from '../render.ts'
import { sessionId } from '../session-id.ts'

export function addFile(program: Command): void {
  const file = program.command('file').description('files of a session, whole, through the same gate as its tools')

  file
    .command('get <session> <path>')
    .description('download a file, to stdout (as it is, also with --json) or to --output')
    .option('-o, --output <file>', 'write it to a file')
    .addHelpText('after', '\nExample:\n  cloister file get ses_01k... dist/report.pdf -o report.pdf')
    .action(async (given: string, path: string, options: { output?: string }, command: Command) => {
      const { client, out } = contextOf(command)
      const content = await client.downloadFile(await sessionId(client, given), path)
      await saveOrPrint(content, options.output, out)
    })

  file
    .command('put <session> <local> <path>')
    .description('upload a file (- for stdin); it needs the approval that writing needs')
    .option('--approved', 'approve it yourself in the same step, if you may')
    .addHelpText('after', '\nExample:\n  cloister file put ses_01k... data.csv data/input.csv --approved')
    .action(async (given: string, local: string, path: string, options: { approved?: boolean }, command: Command) => {
      const { client, out } = contextOf(command)
      const source = local === '-' ? process.stdin : await opened(local)
      const id = await sessionId(client, given)
      const written = await client.uploadFile(id, path, source, { approved: options.approved === true })
      out.result(written, () => `wrote ${written.path}, ${size(written.bytes_written)}, sha256 ${written.sha256}`)
    })
}

async function opened(path: string): Promise<Readable> {
  const stream = createReadStream(path)
  await new Promise((resolve, reject) => {
    stream.once('open', resolve)
    stream.once('error', (error) => reject(new CliError('usage', EXIT.usage, `cannot read ${path}: ${error.message}`)))
  })
  return stream
}
