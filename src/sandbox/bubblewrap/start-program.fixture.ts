import { VolumeDirectory } from '../volume-directory.ts'
import { BubblewrapDriver } from './bubblewrap-driver.ts'

/**
 * For tests: a server that starts one sandbox, runs one command in it, says what came of it on a line of JSON, and waits to be
 * killed, or with `leave` ends in order and leaves the sandbox running. `argv[2]` is JSON of its parameters.
 */
const { home, hostBundle, nodePath, uid, sessionId, argv, leave } = JSON.parse(process.argv[2] ?? '') as {
  home: string
  hostBundle: string
  nodePath: string
  uid: number | null
  sessionId: string
  argv: string[]
  leave?: boolean
}
const volumes = new VolumeDirectory(`${home}/sessions`)
const driver = new BubblewrapDriver({ home, volumes, hostBundle, nodePath })
await volumes.create(sessionId, { uid, secrets: {}, staging: {} })
const { record, sandbox } = await driver.start(
  {
    ...{
      session_id: sessionId,
      generation: 1,
      purpose: 'session',
      uid,
      network: 'none',
      isolation_floor: 'namespaces',
      epoch: 1,
    },
    limits: { memory_mb: 512, cpus: 1, pids: 64 },
  },
  async () => undefined,
)
const result = await sandbox.exec({ id: 'op-1', invocation_id: 'inv-1', argv, timeout_ms: 20_000, max_output_bytes: 100_000 })
process.stdout.write(`${JSON.stringify({ record, output: result.stdout.toString() })}\n`)
if (leave) sandbox.disconnect()
else setInterval(() => undefined, 1000)
