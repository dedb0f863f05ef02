import { readBoot } from './boot.ts'
import { HostServer } from './host-server.ts'

/** The listening socket that the server made and passed on. */
const LISTEN_FD = 3

const host = new HostServer(await readBoot(process.stdin))
process.stdin.destroy()
process.on('SIGTERM', () => {
  host.killAll()
  process.exit(0)
})
// A server that dies takes the other end of these with it.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
await host.listen(LISTEN_FD)
