import { randomBytes } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CloisterClient } from '../../src/client/cloister-client.ts'
import { DemoServer } from '../demo/demo-server.ts'
import { makeRepository } from '../demo/project.ts'
import { TmuxTerminal } from './tmux-terminal.ts'

const CLI = fileURLToPath(new URL('../../src/cli/cli.ts', import.meta.url))
const AGENT = fileURLToPath(new URL('agent.json', import.meta.url))

/** One of the two faults of the project, so that a short conversation can mend the other. */
const MENDED = {
  path: 'src/split.ts',
  before: `  const share = Math.floor(amount.minor / people)
  return Array.from({ length: people }, () => money(share, amount.currency))
`,
  after: `  const share = Math.trunc(amount.minor / people)
  const rest = amount.minor - share * people
  const unit = Math.sign(rest)
  return Array.from({ length: people }, (_, index) => money(share + (index < Math.abs(rest) ? unit : 0), amount.currency))
`,
}

/**
 * Talks with a scripted agent as a person would, in a terminal, on a server and in a folder of its own; leaves nothing behind.
 * @returns what the terminal shows at the end, with colours as escape sequences; what differs from run to run made the same
 */
export async function captureChat(): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), 'cloister-docs-chat-'))
  // Sandboxes have users of their own, which have to pass through here to what is theirs.
  chmodSync(work, 0o711)
  const password = randomBytes(12).toString('hex')
  let server: DemoServer | undefined
  let terminal: TmuxTerminal | undefined
  let forget = async () => {}
  try {
    const scripts = join(work, 'scripts')
    mkdirSync(scripts)
    copyFileSync(AGENT, join(scripts, 'chat.json'))
    const project = join(work, 'ledger')
    makeRepository(project, MENDED)
    server = await DemoServer.start({
      PATH: process.env['PATH'],
      HOME: work,
      PORT: '0',
      CLOISTER_HOME: join(work, 'home'),
      CLOISTER_ADMIN_PASSWORD: password,
      CLOISTER_SCRIPTS: scripts,
      CLOISTER_SOURCE_ROOTS: work,
    })
    const { token } = await new CloisterClient({ url: server.url }).login('admin', password)
    const client = new CloisterClient({ url: server.url, token })
    const { session } = await client.createSession({ name: 'fix-it', model: 'scripted/chat', source_repo_path: project })
    forget = async () => void (await client.deleteSession(session.id))
    for (;;) {
      const { state, state_reason } = await client.getSession(session.id)
      if (state === 'idle') break
      if (state !== 'initializing') throw new Error(`the session is ${state}: ${state_reason}`)
    }
    terminal = new TmuxTerminal({
      command: [process.execPath, CLI, 'session', 'chat', 'fix-it'],
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: work,
        TERM: 'xterm-256color',
        CLOISTER_URL: server.url,
        CLOISTER_TOKEN: token,
      },
      columns: 100,
      rows: 50,
    })
    return normalised(await talk(terminal))
  } finally {
    terminal?.destroy()
    await forget()
    await server?.stop()
    rmSync(work, { recursive: true, force: true })
  }
}

/** @returns the screen before the person leaves */
async function talk(terminal: TmuxTerminal): Promise<string> {
  const patience = 60_000
  await terminal.shows(/you>$/m, patience)
  terminal.type('make the tests pass\r')
  await terminal.shows(/\+.*JPY: 0[\s\S]*approve\?.*:$/m, patience)
  terminal.type('y\r')
  await terminal.shows(/tokens in[\s\S]*you>$/m, patience)
  terminal.type('/diff\r')
  await terminal.shows(/diff --git[\s\S]*you>$/m, patience)
  const screen = terminal.screen({ escapes: true })
  terminal.type('/exit\r')
  const code = await terminal.end()
  if (code !== 0) throw new Error(`the conversation ended with ${code}:\n${terminal.screen()}`)
  return screen
}

/** Ids and times. */
function normalised(screen: string): string {
  return screen
    .replace(/\b(apr|inv|ses)_[0-9a-z]+/g, '$1_01k…')
    .replace(/\b\d+(\.\d+)?( ?ms| s)\b/g, '0.4 s')
    .replace(/(duration_ms) [\d.]+/g, '$1 400')
}
