import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'

/** One thing that stands in the sandbox's read-only system. */
export type SystemEntry =
  | { kind: 'bind'; source: string; destination: string }
  | { kind: 'symlink'; target: string; destination: string }

/**
 * What a machine's `/etc` gives to a sandbox when it is there. Programs are broken without these; none of them holds a
 * password, a key or a token (`npmrc`, `pip.conf`, `gitconfig` and `ssl/private` can, and are not here; `profile` would reset
 * PATH). A `*` stands for any rest of a name.
 */
const ETC = [
  'alternatives',
  'crypto-policies',
  'debian_version',
  'fonts',
  'java',
  'java-*',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'localtime',
  'lsb-release',
  'magic',
  'maven',
  'mime.types',
  'os-release',
  'perl',
  'pki/ca-trust',
  'pki/tls/cert.pem',
  'pki/tls/certs',
  'protocols',
  'python3',
  'python3.*',
  'services',
  'ssl/cert.pem',
  'ssl/certs',
  'ssl/openssl.cnf',
  'terminfo',
  'timezone',
]

/** Made by us instead, or nobody's business. */
const NEVER_FROM_ROOTFS = ['group', 'gshadow', 'hostname', 'hosts', 'mtab', 'nsswitch.conf', 'passwd', 'resolv.conf', 'shadow']

/** Directories of a root file system that the sandbox has its own of. */
const OWN = ['boot', 'dev', 'etc', 'lost+found', 'media', 'mnt', 'proc', 'root', 'run', 'session', 'sys', 'tmp', 'var']

/** The machine's own programs: `/usr`, its aliases as they are here, and the short list of `/etc`. */
export function machineSystem(): SystemEntry[] {
  const aliases = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']
  return [
    { kind: 'bind', source: '/usr', destination: '/usr' },
    ...aliases.flatMap((name) => entry(`/${name}`, `/${name}`)),
    ...ETC.flatMap((pattern) => expand('/etc', pattern)).flatMap((name) => entry(`/etc/${name}`, `/etc/${name}`)),
  ]
}

/** A root file system given by the administrator: all of it but what the sandbox has its own of, and no shadow. */
export function rootfsSystem(rootfs: string): SystemEntry[] {
  const etc = `${rootfs}/etc`
  return [
    ...readdirSync(rootfs)
      .filter((name) => !OWN.includes(name))
      .flatMap((name) => entry(`${rootfs}/${name}`, `/${name}`)),
    ...(existsSync(etc) ? readdirSync(etc) : [])
      .filter((name) => !NEVER_FROM_ROOTFS.includes(name.replace(/-$/, '')))
      .flatMap((name) => entry(`${etc}/${name}`, `/etc/${name}`)),
  ]
}

/** A link stays a link, read inside the sandbox; what leads nowhere and what is no file or directory is left out. */
function entry(source: string, destination: string): SystemEntry[] {
  const status = lstatSync(source, { throwIfNoEntry: false })
  if (status === undefined) return []
  if (status.isSymbolicLink()) return [{ kind: 'symlink', target: readlinkSync(source), destination }]
  return status.isDirectory() || status.isFile() ? [{ kind: 'bind', source, destination }] : []
}

function expand(directory: string, pattern: string): string[] {
  if (!pattern.endsWith('*')) return [pattern]
  if (!existsSync(directory)) return []
  return readdirSync(directory).filter((name) => name.startsWith(pattern.slice(0, -1)))
}

/** Files of `/etc` that we make, by name. */
export function madeFiles(network: 'none' | 'host'): Record<string, string> {
  return {
    passwd:
      'root:x:0:0:root:/:/usr/sbin/nologin\nsandbox:x:1000:1000:sandbox:/session/home:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n',
    group: 'root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n',
    'nsswitch.conf':
      'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n',
    ...(network === 'none' ? { hosts: '127.0.0.1 localhost cloister\n::1 localhost cloister\n' } : {}),
  }
}

/** With the machine's network also its names: resolved, because `/run` is not in the sandbox. */
export function networkFiles(): SystemEntry[] {
  return ['/etc/resolv.conf', '/etc/hosts', '/etc/gai.conf'].flatMap((destination): SystemEntry[] =>
    existsSync(destination) ? [{ kind: 'bind', source: realpathSync(destination), destination }] : [],
  )
}
