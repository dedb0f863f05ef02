import type { SystemEntry } from './system-files.ts'

/** Inside, every session is this user; outside, the session's own uid. */
export const SANDBOX_UID = 1000

/** Where host's program stands inside. */
const HOST_NODE = '/opt/cloister/node'
const HOST_BUNDLE = '/opt/cloister/host.mjs'
/** Where the program stands that keeps connectors' servers running. */
export const CONNECTOR_BRIDGE = '/opt/cloister/connector-bridge.mjs'

/** Descriptors that bwrap gets. 3 is host's listening socket and goes on to it; bwrap closes the others. */
export const DESCRIPTORS = { listen: 3, info: 4, block: 5, seccomp: 6 } as const

/**
 * On the volume, so that caches outlive a sandbox and do not count as memory, and beside `code` and `data`, so that they are in
 * no listing and in no tool's reach.
 */
export const SESSION_HOME = '/session/home'

/**
 * The first process inside. It reaps orphans and, because it was started behind the filter, is under it like the rest: bwrap's
 * own reaper is not, and its memory can be written from inside. It lets go of the listening socket and of the server's files
 * before host starts anything, because it can be looked into; it ignores the one signal that this shell would otherwise let
 * anybody end it with; and it ends, with everything, when host ends.
 */
const FIRST = `umask 022; mkdir -p "$HOME"; exec 4<&0; "$@" <&4 4<&- & trap "" INT; exec 0</dev/null 3<&- 4<&- >/dev/null 2>&1; wait`

export interface BwrapPlan {
  network: 'none' | 'host'
  /** The read-only system, in the order of mounting: directories before what stands in them. */
  system: SystemEntry[]
  /** Sources of what we made for `/etc`, by name. */
  etc: Record<string, string>
  /** Sources, as bwrap finds them. */
  volume: string
  /** Null: an empty directory stands in its place. */
  secrets: string | null
  node: string
  bundle: string
  /** Null: no connector runs in sandboxes. */
  connectorBridge: string | null
  /** More directories, read-only, under their own names. */
  binds: { source: string; destination: string }[]
  /** Options of the Node that runs host. */
  nodeOptions: string[]
  /** Bytes of `/tmp` and of `/dev/shm`: both count as the sandbox's memory. */
  tmpBytes: number
  shmBytes: number
  /** Where the session's processes look for programs. */
  path: string
}

/** PATH for a session: what was found besides the system's, then the system's. */
export function searchPath(extra: string[]): string {
  return [...new Set([...extra, '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'])].join(':')
}

/** bwrap's argv without its own name. Pure; nothing in it is secret, since a command line can be read by all. */
export function bwrapArguments(plan: BwrapPlan): string[] {
  return [
    ...namespaces(plan.network),
    ...['--uid', `${SANDBOX_UID}`, '--gid', `${SANDBOX_UID}`, '--hostname', 'cloister'],
    ...['--disable-userns', '--cap-drop', 'ALL', '--new-session', '--as-pid-1', '--clearenv'],
    ...['--setenv', 'PATH', plan.path, '--setenv', 'HOME', SESSION_HOME],
    ...['--info-fd', `${DESCRIPTORS.info}`, '--block-fd', `${DESCRIPTORS.block}`, '--seccomp', `${DESCRIPTORS.seccomp}`],
    ...sized('/', 16 * MIB, '0755'),
    ...plan.system.flatMap(mount),
    ...Object.entries(plan.etc).flatMap(([name, source]) => readOnly(source, `/etc/${name}`)),
    ...['--proc', '/proc', '--ro-bind', '/proc/sys', '/proc/sys'],
    ...['--dev', '/dev', ...sized('/dev/shm', plan.shmBytes, '1777'), '--remount-ro', '/dev'],
    ...sized('/tmp', plan.tmpBytes, '1777'),
    ...['--dir', '/run', '--dir', '/var', '--symlink', '/tmp', '/var/tmp', '--symlink', '/run', '/var/run'],
    ...plan.binds.flatMap(({ source, destination }) => readOnly(source, destination)),
    ...readOnly(plan.node, HOST_NODE),
    ...readOnly(plan.bundle, HOST_BUNDLE),
    ...(plan.connectorBridge === null ? [] : readOnly(plan.connectorBridge, CONNECTOR_BRIDGE)),
    ...['--bind', plan.volume, '/session'],
    ...(plan.secrets === null
      ? [...sized('/session/secrets', 4096, '0500'), '--remount-ro', '/session/secrets']
      : readOnly(plan.secrets, '/session/secrets')),
    ...['--remount-ro', '/', '--chdir', '/session/code', '--'],
    ...['/bin/sh', '-c', FIRST, 'cloister', HOST_NODE, ...plan.nodeOptions, HOST_BUNDLE],
  ]
}

const MIB = 1024 * 1024

function namespaces(network: 'none' | 'host'): string[] {
  const all = ['user', 'ipc', 'pid', 'uts', 'cgroup', ...(network === 'none' ? ['net'] : [])]
  return all.map((name) => `--unshare-${name}`)
}

function readOnly(source: string, destination: string): string[] {
  return ['--ro-bind', source, destination]
}

function sized(destination: string, bytes: number, mode: string): string[] {
  return ['--perms', mode, '--size', `${bytes}`, '--tmpfs', destination]
}

function mount(entry: SystemEntry): string[] {
  return entry.kind === 'bind' ? readOnly(entry.source, entry.destination) : ['--symlink', entry.target, entry.destination]
}
