import type { Command } from 'commander'
import type {
  ConnectorDetail,
  ConnectorList,
  ConnectorLook,
  ConnectorSummary,
  ConnectorTool,
  ToolDifference,
} from '../../client/cloister-client.ts'
import { contextOf } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { time } from '../render.ts'
import { fields, table } from '../table.ts'

export function addConnector(program: Command): void {
  const connector = program
    .command('connector')
    .description('MCP servers whose tools become tools here (admins only; docs/connectors.md)')

  connector
    .command('list')
    .alias('ls')
    .description('all of the configuration')
    .addHelpText('after', '\nExample:\n  cloister connector list')
    .action(async (_options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const { connectors } = await client.listConnectors()
      const rows = connectors.map((each) => [
        each.name,
        each.state,
        each.kind,
        each.review ? `${time(each.review.reviewed_at)} by ${each.review.reviewed_by}` : '',
        each.reason ?? each.target,
      ])
      out.result({ connectors }, () =>
        rows.length === 0
          ? 'the configuration names no connector'
          : table(['NAME', 'STATE', 'KIND', 'REVIEWED', ''], rows, out.width),
      )
    })

  connector
    .command('show <name>')
    .description('one of them, with the tools that were reviewed; its server is not asked')
    .addHelpText('after', '\nExample:\n  cloister connector show tracker')
    .action(async (name: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const found = await client.getConnector(name)
      out.result(found, () => detailText(found))
    })

  connector
    .command('review <name>')
    .description('ask its server for its tools, show them and what differs from the last review, and let them in')
    .option('--accept <digest>', 'let in the list with this digest without being asked, for scripts that looked at it')
    .addHelpText(
      'after',
      `
What a server says of its tools is a stranger's text: a description may be written to mislead the agent that reads it. Read it.
Without --accept, and where nobody can answer, it only looks. Exits with 5 when the list is another one by now.

Examples:
  cloister connector review tracker
  cloister connector review tracker --json
  cloister connector review tracker --accept 3f1c...`,
    )
    .action(async (name: string, options: { accept?: string }, command: Command) => {
      const { client, out, prompter } = contextOf(command)
      if (options.accept !== undefined) {
        const accepted = await client.reviewConnector(name, options.accept)
        out.result(accepted, () => acceptedText(accepted))
        return
      }
      const look = await client.reviewConnector(name)
      const due = look.connector.state !== 'reviewed'
      if (out.json || !prompter || !due) {
        out.result(look, () => lookText(look))
        if (due) process.exitCode = EXIT.denied
        return
      }
      out.line(lookText(look))
      const answer = await prompter.ask('Let these tools in? [y/N] ')
      if (!/^y(es)?$/i.test(answer.trim())) {
        out.line('nothing was changed')
        process.exitCode = EXIT.denied
        return
      }
      out.line(acceptedText(await client.reviewConnector(name, look.list.digest)))
    })
}

function summaryText(connector: ConnectorSummary): string {
  const { review } = connector
  return fields([
    ['name', connector.name],
    ['kind', connector.kind],
    ['target', connector.target],
    ['state', connector.state],
    ...(connector.reason === null ? [] : [['reason', connector.reason] as const]),
    ...(review ? [['reviewed', `${time(review.reviewed_at)} by ${review.reviewed_by}, ${review.digest}`] as const] : []),
    ...(connector.flagged_at === null ? [] : [['flagged', time(connector.flagged_at)] as const]),
  ])
}

function detailText({ connector, list, differences, reviews }: ConnectorDetail): string {
  return [
    summaryText(connector),
    ...(list ? [listText(list)] : []),
    ...(differences.length > 0 ? ['seen to differ since:', differencesText(differences)] : []),
    ...(reviews.length > 1
      ? [
          table(
            ['REVIEWED', 'BY', 'DIGEST'],
            reviews.map((each) => [time(each.reviewed_at), each.reviewed_by, each.digest]),
          ),
        ]
      : []),
  ].join('\n\n')
}

function lookText({ connector, list, differences }: ConnectorLook): string {
  const changed = differences.length === 0 ? 'nothing differs from what was reviewed' : differencesText(differences)
  return [
    summaryText(connector),
    listText(list),
    connector.review ? changed : 'it was not reviewed before',
    `digest  ${list.digest}`,
  ].join('\n\n')
}

function acceptedText({ connector, list }: ConnectorLook): string {
  const names = list.tools.flatMap(({ name }) => name ?? [])
  return `${connector.name}: ${names.length} ${names.length === 1 ? 'tool is' : 'tools are'} there now: ${names.join(', ')}`
}

function differencesText(differences: readonly ToolDifference[]): string {
  return differences
    .map((each) =>
      each.kind === 'changed' ? `  ${each.tool}: changed ${each.fields.join(', ')}` : `  ${each.tool}: ${each.kind}`,
    )
    .join('\n')
}

function listText({ tools, missing }: ConnectorList): string {
  const allowed = tools.filter(({ name }) => name !== null)
  const others = tools.filter(({ name }) => name === null)
  return [
    ...allowed.map(toolText),
    ...(others.length > 0
      ? [['not there:', ...others.map(({ listed, problem }) => `  ${JSON.stringify(listed.name)}: ${problem}`)].join('\n')]
      : []),
    ...(missing.length > 0 ? [`the configuration lets in what the server does not list: ${missing.join(', ')}`] : []),
  ].join('\n\n')
}

/** Words of the server's are indented under a bar: nothing that it says can look like ours. */
function toolText({ listed, name, declared }: ConnectorTool): string {
  const said = [listed.title, listed.description].filter((each) => each !== null).join('\n')
  const quoted = said.split(/\r\n|[\n\r\u2028\u2029]/).map((line) => `  | ${line}`)
  const annotations = listed.annotations
    ? [`  its annotations, which are not believed: ${JSON.stringify(listed.annotations)}`]
    : []
  const rules = declared
    ? `  scope ${declared.scope}, side effects ${declared.side_effects}, risk ${declared.risk_level}, ${declared.requires_approval ? 'with' : 'without'} approval`
    : ''
  return [
    `${name}  (${JSON.stringify(listed.name)})`,
    rules,
    ...quoted,
    `  arguments: ${JSON.stringify(listed.input_schema)}`,
    ...annotations,
  ].join('\n')
}
