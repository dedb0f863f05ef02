import type { Command } from 'commander'
import { count } from '../arguments.ts'
import { contextOf } from '../context.ts'
import { time } from '../render.ts'
import { table } from '../table.ts'

export function addToken(program: Command): void {
  const token = program.command('token').description('API tokens: credentials of yours for programs')

  token
    .command('list')
    .alias('ls')
    .description('your tokens; their values are never shown again')
    .addHelpText('after', '\nExample:\n  cloister token list')
    .action(async (_options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const { tokens } = await client.listTokens()
      const rows = tokens.map((each) => [
        each.id,
        each.name,
        `${each.prefix}…`,
        time(each.created_at),
        time(each.expires_at),
        time(each.last_used_at),
      ])
      out.result({ tokens }, () =>
        rows.length === 0 ? 'no tokens' : table(['ID', 'NAME', 'BEGINS', 'CREATED', 'EXPIRES', 'LAST USED'], rows, out.width),
      )
    })

  token
    .command('create <name>')
    .description('make one; its value is printed once, alone on stdout')
    .option('--expires <seconds>', 'how long it is valid', count())
    .addHelpText('after', '\nExample:\n  CLOISTER_TOKEN=$(cloister token create ci --expires 86400)')
    .action(async (name: string, options: { expires?: number }, command: Command) => {
      const { client, out } = contextOf(command)
      const created = await client.createToken({
        name,
        ...(options.expires === undefined ? {} : { expires_in_seconds: options.expires }),
      })
      out.result(created, () => created.value)
      if (!out.json) out.note('keep it now: it is not shown again')
    })

  token
    .command('revoke <id>')
    .description('make one invalid at once')
    .addHelpText('after', '\nExample:\n  cloister token revoke tok_01k...')
    .action(async (id: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      await client.revokeToken(id)
      out.result({ revoked: id }, () => `revoked ${id}`)
    })
}
