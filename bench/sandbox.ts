import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildHost } from '../scripts/build-host.ts'
import { BubblewrapDriver } from '../src/sandbox/bubblewrap/bubblewrap-driver.ts'
import type { Sandbox } from '../src/sandbox/sandbox.ts'
import { VolumeDirectory } from '../src/sandbox/volume-directory.ts'

/**
 * What a sandbox costs, beside the bare operating system in the same run: `npm run bench`. Medians; the ratio is what to compare
 * between machines.
 */

const STARTS = 15
const CALLS = 200
const LIMITS = { memory_mb: 1024, cpus: 2, pids: 256 }
const HOST_BUNDLE = fileURLToPath(new URL('../dist/host.mjs', import.meta.url))
const isRoot = process.getuid?.() === 0

const middle = (durations: number[]) => durations.toSorted((a, b) => a - b)[Math.floor(durations.length / 2)] as number

async function median(times: number, work: (index: number) => Promise<unknown>): Promise<number> {
  const durations: number[] = []
  for (let index = 0; index < times; index++) {
    const start = performance.now()
    await work(index)
    durations.push(performance.now() - start)
  }
  return middle(durations)
}

async function run(program: string, args: string[]): Promise<void> {
  const [code] = await once(spawn(program, args, { stdio: 'ignore' }), 'exit')
  if (code !== 0) throw new Error(`${program} ended with ${code}`)
}

const home = mkdtempSync(join(tmpdir(), 'cloister-bench-'))
try {
  await buildHost(HOST_BUNDLE)
  const volumes = new VolumeDirectory(join(home, 'volumes'))
  const driver = new BubblewrapDriver({ home, volumes, hostBundle: HOST_BUNDLE })
  const spec = (session_id: string, generation: number) => ({
    session_id,
    generation,
    purpose: 'session' as const,
    uid: isRoot ? 200_000 : null,
    limits: LIMITS,
    network: 'none' as const,
    isolation_floor: 'namespaces' as const,
    epoch: 1,
  })
  await volumes.create('bench', { uid: isRoot ? 200_000 : null, secrets: {}, staging: {} })

  const bareBwrap = await median(STARTS, () =>
    run('bwrap', ['--unshare-all', '--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc', process.execPath, '-e', '0']),
  )
  const bareNode = await median(STARTS, () => run(process.execPath, ['-e', '0']))
  const stops: number[] = []
  const starts: number[] = []
  let sandbox: Sandbox | null = null
  let stop = async () => {}
  for (let generation = 1; generation <= STARTS; generation++) {
    const stopping = performance.now()
    await stop()
    if (generation > 1) stops.push(performance.now() - stopping)
    const starting = performance.now()
    const started = await driver.start(spec('bench', generation), async () => undefined)
    starts.push(performance.now() - starting)
    sandbox = started.sandbox
    stop = async () => {
      started.sandbox.disconnect()
      await driver.stop(started.record, 'bench')
    }
  }
  if (!sandbox) throw new Error('no sandbox was started')
  const inside: Sandbox = sandbox

  const file = join(home, 'file')
  const content = Buffer.alloc(4096, 'x')
  writeFileSync(file, content)
  const scope = { path: '/session/code/file', roots: ['/session/code'] }
  await inside.write({
    id: 'w/1',
    invocation_id: 'w',
    ...scope,
    content_base64: content.toString('base64'),
    create_parents: false,
  })

  const bareExec = await median(CALLS, () => run('/bin/true', []))
  const bwrapExec = await median(STARTS, () => run('bwrap', ['--unshare-all', '--ro-bind', '/', '/', '/bin/true']))
  const exec = await median(CALLS, async (index) => {
    const result = await inside.exec({
      id: `e${index}/1`,
      invocation_id: `e${index}`,
      argv: ['/bin/true'],
      timeout_ms: 5000,
      max_output_bytes: 1024,
    })
    if (result.exit_code !== 0) throw new Error(`true ended with ${result.exit_code}`)
    await inside.acknowledge(`e${index}`)
  })
  const bareRead = await median(CALLS, async () => readFileSync(file))
  const read = await median(CALLS, () => inside.read({ ...scope, max_bytes: 65_536 }))
  await stop()

  const row = (name: string, ours: number, peer: string, theirs: number) =>
    console.log(
      `${name.padEnd(34)}${ours.toFixed(2).padStart(9)} ms   ${peer.padEnd(38)}${theirs.toFixed(2).padStart(9)} ms   x${(ours / theirs).toFixed(1)}`,
    )
  console.log(
    `${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${isRoot ? 'root' : 'ordinary user'}\n`,
  )
  row('start a sandbox', middle(starts), 'bwrap with an empty Node program', bareBwrap)
  row('', middle(starts), 'an empty Node program', bareNode)
  row('stop a sandbox', middle(stops), 'an empty Node program', bareNode)
  row('run /bin/true inside, acknowledged', exec, 'fork and exec of /bin/true', bareExec)
  row('', exec, 'bwrap for this one command', bwrapExec)
  row('read 4 KiB inside', read, 'readFileSync', bareRead)
} finally {
  rmSync(home, { recursive: true, force: true })
}
