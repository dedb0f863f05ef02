import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { addApproval } from './commands/approval.ts'
import { addConnector } from './commands/connector.ts'
import { addDoctor } from './commands/doctor.ts'
import { addFile } from './commands/file.ts'
import { addInvocation } from './commands/invocation.ts'
import { addLogin } from './commands/login.ts'
import { addMcp } from './commands/mcp.ts'
import { addPolicy } from './commands/policy.ts'
import { addServe } from './commands/serve.ts'
import { addSession } from './commands/session.ts'
import { addToken } from './commands/token.ts'
import { addTool } from './commands/tool.ts'
import { addUser } from './commands/user.ts'
import { EXIT_HELP } from './exit-codes.ts'

/**
 * All commands, each with examples in its help. Errors of usage are thrown, not printed nor exited with.
 * @param options.json help that is shown for want of a command goes nowhere: who reads JSON is told in JSON
 */
export function makeProgram(options: { json: boolean } = { json: false }): Command {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  const program = new Command('cloister')
    .description('sessions of AI agents: isolated sandboxes, governed tools, an append-only record')
    .version(version)
    .option('--json', 'print JSON for programs: one document, or one a line where it streams')
    .option('--url <url>', 'the server (default: CLOISTER_URL, else http://127.0.0.1:50053)')
    .option('--no-color', 'print without colours, as with NO_COLOR')
    .exitOverride()
    .configureOutput({ outputError: () => {}, ...(options.json && { writeErr: () => {} }) })
    .addHelpText(
      'after',
      `
Examples:
  cloister serve                                      start a server
  cloister login                                      log in to it
  cloister session create --source . --message "make the tests pass"
  cloister session chat ses_01k...                    talk with the agent
  cloister approval list                              what waits for you

Where a command takes a session, it takes the id of one, or the name of one of yours.

Environment: CLOISTER_URL (the server), CLOISTER_TOKEN (instead of a stored login), NO_COLOR.

${EXIT_HELP}`,
    )
  addServe(program)
  addLogin(program)
  addDoctor(program)
  addSession(program)
  addTool(program)
  addInvocation(program)
  addApproval(program)
  addPolicy(program)
  addMcp(program)
  addConnector(program)
  addFile(program)
  addUser(program)
  addToken(program)
  return program
}
