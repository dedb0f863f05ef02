import { createHash, randomBytes } from 'node:crypto'
import { constants, existsSync, realpathSync, type Stats, statSync } from 'node:fs'
import { chmod, copyFile, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { seccompProgram } from './seccomp.ts'
import { madeFiles, type SystemEntry } from './system-files.ts'

/** What sandboxes are made of, on the server's machine. */
export interface Runtime {
  /** Execute-only. */
  node: string
  bundle: string
  /** Null: none was given. */
  connectorBridge: string | null
  seccomp: string
  /** Files of `/etc` that we make, by name, for each kind of network. */
  etc: Record<'none' | 'host', Record<string, string>>
}

/**
 * Puts host's program, an execute-only copy of Node, the filter and the made files of `/etc` under `<home>/runtime`, once per
 * version of each. A process that was started from a file that it may not read is not dumpable: what runs beside host can
 * neither trace it nor read its memory, environment or maps. The names come from the contents, so that an upgrade never changes
 * what a running sandbox was made of.
 */
export async function installRuntime(
  home: string,
  nodePath: string,
  hostBundle: string,
  connectorBridge: string | null = null,
): Promise<Runtime> {
  const directory = join(home, 'runtime')
  await mkdir(directory, { recursive: true, mode: 0o711 })
  const text = async (prefix: string, suffix: string, content: string | Buffer): Promise<string> => {
    const path = join(directory, `${prefix}-${digest(content)}${suffix}`)
    await installOnce(path, 0o444, (temporary) => writeFile(temporary, content, { flag: 'wx', mode: 0o600 }))
    return path
  }
  const etc = async (network: 'none' | 'host') => {
    const paths: Record<string, string> = {}
    for (const [name, content] of Object.entries(madeFiles(network))) paths[name] = await text(`etc-${name}`, '', content)
    return paths
  }
  const source = realpathSync(nodePath)
  const node = join(directory, `node-${identity(source, await stat(source))}`)
  await installOnce(node, 0o111, (path) => copyFile(source, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE))
  return {
    node,
    bundle: await text('host', '.mjs', await readFile(hostBundle)),
    connectorBridge: connectorBridge === null ? null : await text('connector', '.mjs', await readFile(connectorBridge)),
    seccomp: await text('seccomp', '.bpf', seccompProgram(process.arch)),
    etc: { none: await etc('none'), host: await etc('host') },
  }
}

/** Written beside its place, flushed and renamed, so that neither a crash nor a second server leaves half a file. */
async function installOnce(path: string, mode: number, write: (temporary: string) => Promise<void>): Promise<void> {
  if (existsSync(path)) return
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await write(temporary)
    const file = await open(temporary, 'r')
    await file.sync()
    await file.close()
    await chmod(temporary, mode)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

function digest(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex').slice(0, 16)
}

/** Hashing 120 MB at every start would cost more than starting: path, inode, size and time name a version well enough. */
function identity(path: string, status: Stats): string {
  return digest(JSON.stringify([path, status.ino, status.size, status.mtimeMs]))
}

/** Where the server's Node appears in a sandbox when it is not part of `/usr`. */
const PREFIX = '/opt/node'

/**
 * The server's Node for the session's own use. Exactly its program, npm, corepack and headers are bound, never the prefix: that
 * may be a home directory. A lone binary binds itself; npm is then the system's, if there is one.
 */
export function nodeToolchain(nodePath: string): { entries: SystemEntry[]; path: string[] } {
  const node = realpathSync(nodePath)
  if (node.startsWith('/usr/')) return { entries: [], path: node.startsWith('/usr/local/') ? [] : [dirname(node)] }
  const prefix = dirname(dirname(node))
  const entries: SystemEntry[] = [{ kind: 'bind', source: node, destination: `${PREFIX}/bin/node` }]
  const directory = (name: string): boolean => {
    const source = join(prefix, name)
    if (!statSync(source, { throwIfNoEntry: false })?.isDirectory()) return false
    entries.push({ kind: 'bind', source, destination: `${PREFIX}/${name}` })
    return true
  }
  const link = (name: string, target: string) =>
    entries.push({ kind: 'symlink', target: `../lib/node_modules/${target}`, destination: `${PREFIX}/bin/${name}` })
  if (directory('lib/node_modules/npm')) {
    link('npm', 'npm/bin/npm-cli.js')
    link('npx', 'npm/bin/npx-cli.js')
  }
  if (directory('lib/node_modules/corepack')) link('corepack', 'corepack/dist/corepack.js')
  directory('include/node')
  return { entries, path: [`${PREFIX}/bin`] }
}
