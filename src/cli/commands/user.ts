import type { Command } from 'commander'
import type { User } from '../../client/cloister-client.ts'
import { collect, readTextFile, textOrStdin } from '../arguments.ts'
import { CliError } from '../cli-error.ts'
import { type Context, contextOf } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { time } from '../render.ts'
import { fields, table } from '../table.ts'

interface PasswordOptions {
  passwordFile?: string
  passwordStdin?: boolean
}

export function addUser(program: Command): void {
  const user = program.command('user').description('people who may use this server (admins only)')

  user
    .command('list')
    .alias('ls')
    .description('everybody')
    .addHelpText('after', '\nExample:\n  cloister user list')
    .action(async (_options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const { users } = await client.listUsers()
      const rows = users.map((each) => [
        each.name,
        each.tenant_id,
        each.roles.join(','),
        each.tool_roles.join(','),
        each.active ? 'yes' : 'no',
        time(each.last_login_at),
      ])
      out.result({ users }, () => table(['NAME', 'TENANT', 'ROLES', 'TOOL ROLES', 'ACTIVE', 'LAST LOGIN'], rows, out.width))
    })

  user
    .command('get <name>')
    .description('one of them')
    .addHelpText('after', '\nExample:\n  cloister user get ada')
    .action(async (name: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const found = await client.getUser(name)
      out.result({ user: found }, () => userFields(found))
    })

  user
    .command('create <name>')
    .description('add somebody; the password is asked for, or taken from a file or stdin')
    .option('--role <role>', 'user (default) or admin')
    .option('--tool-role <role>', 'developer (default), devops, platform_admin', collect)
    .option('--password-file <file>', 'take the password from a file')
    .option('--password-stdin', 'take the password from stdin')
    .addHelpText(
      'after',
      '\nExamples:\n  cloister user create ada\n  cloister user create bob --tool-role developer --tool-role devops --password-file bob.txt',
    )
    .action(
      async (name: string, options: PasswordOptions & { role?: 'user' | 'admin'; toolRole?: string[] }, command: Command) => {
        const context = contextOf(command)
        const created = await context.client.createUser({
          name,
          password: await newPassword(name, options, context),
          ...(options.role === undefined ? {} : { roles: [options.role] }),
          ...(options.toolRole === undefined ? {} : { tool_roles: options.toolRole }),
        })
        context.out.result({ user: created }, () => userFields(created))
      },
    )

  user
    .command('update <name>')
    .description('change somebody')
    .option('--active', 'may log in')
    .option('--inactive', 'may not log in, and what they hold stops working')
    .option('--role <role>', 'user or admin')
    .option('--tool-role <role>', 'the tool roles from now on', collect)
    .option('--password', 'set another password: asked for')
    .option('--password-file <file>', 'set the password in a file')
    .option('--password-stdin', 'set the password from stdin')
    .addHelpText('after', '\nExamples:\n  cloister user update bob --inactive\n  cloister user update ada --password')
    .action(
      async (
        name: string,
        options: PasswordOptions & {
          active?: boolean
          inactive?: boolean
          role?: 'user' | 'admin'
          toolRole?: string[]
          password?: boolean
        },
        command: Command,
      ) => {
        const context = contextOf(command)
        if (options.active && options.inactive)
          throw new CliError('usage', EXIT.usage, '--active and --inactive exclude each other')
        const password = options.password || options.passwordFile !== undefined || options.passwordStdin
        const updated = await context.client.updateUser(name, {
          ...(options.active || options.inactive ? { active: options.active === true } : {}),
          ...(options.role === undefined ? {} : { roles: [options.role] }),
          ...(options.toolRole === undefined ? {} : { tool_roles: options.toolRole }),
          ...(password ? { password: await newPassword(name, options, context) } : {}),
        })
        context.out.result({ user: updated }, () => userFields(updated))
      },
    )

  user
    .command('delete <name>')
    .description('remove somebody')
    .addHelpText('after', '\nExample:\n  cloister user delete bob')
    .action(async (name: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      await client.deleteUser(name)
      out.result({ deleted: name }, () => `deleted ${name}`)
    })
}

async function newPassword(name: string, options: PasswordOptions, { prompter }: Context): Promise<string> {
  if (options.passwordFile !== undefined) return readTextFile(options.passwordFile).replace(/\r?\n$/, '')
  if (options.passwordStdin) return (await textOrStdin('-')).replace(/\r?\n$/, '')
  if (!prompter)
    throw new CliError('usage', EXIT.usage, 'no password given, and nobody to ask', 'use --password-file or --password-stdin')
  const password = await prompter.askHidden(`Password for ${name} (not shown, 8 characters or more): `)
  if ((await prompter.askHidden('The same again: ')) !== password)
    throw new CliError('usage', EXIT.usage, 'the two were not the same')
  return password
}

function userFields(user: User): string {
  return fields([
    ['name', user.name],
    ['tenant', user.tenant_id],
    ['roles', user.roles.join(', ')],
    ['tool roles', user.tool_roles.join(', ')],
    ['active', user.active ? 'yes' : 'no'],
    ['created', time(user.created_at)],
    ['last login', time(user.last_login_at)],
  ])
}
