import {
  CLONE,
  CLONE3,
  DENIED,
  IOCTL,
  LAST_REVIEWED,
  PERSONALITY,
  type SeccompArch,
  SOCKET,
  SOCKETPAIR,
  type Syscall,
  UNSHARE,
  X64_HOLE,
} from './seccomp-syscalls.ts'

/** linux/seccomp.h */
const KILL_PROCESS = 0x80000000
const ALLOW = 0x7fff0000
const errno = (code: number) => 0x00050000 | code
const EPERM = errno(1)
const ENOSYS = errno(38)
const EAFNOSUPPORT = errno(97)

/** linux/audit.h */
const AUDIT_ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 } as const

/** linux/filter.h: load a word, jump, return. */
const LOAD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_GREATER = 0x25
const JUMP_GREATER_EQUAL = 0x35
const JUMP_BITS = 0x45
const RETURN = 0x06

/** Offsets in `struct seccomp_data`. Of an argument only the low word is looked at: the checked ones are 32 bits wide. */
const NR = 0
const ARCH = 4
const argument = (index: number) => 16 + 8 * index

/** linux/sched.h: new mount, cgroup, uts, ipc, user, pid and network namespaces. Bit 0x80 is CLONE_NEWTIME in `unshare` only. */
const NEW_NAMESPACES = 0x7e020000
const CLONE_NEWTIME = 0x80

const X32_BIT = 0x40000000
const NO_SYSCALL = 0xffffffff

/** asm-generic/ioctls.h: typing into a terminal on behalf of its reader. */
const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c

/** Linux, 32 bit and old version numbers in uname, no address randomization for oneself, and the query. */
const PERSONALITIES = [0, 0x8, 0x20000, 0x20008, 0x40000, 0xffffffff]

/** unix, inet, inet6, netlink. Others (vsock reaches a hypervisor from any network namespace, alg, packet, ...) are refused. */
const FAMILIES = [1, 2, 10, 16]

interface Instruction {
  code: number
  jt: number
  jf: number
  k: number
}

const load = (k: number): Instruction => ({ code: LOAD, jt: 0, jf: 0, k })
const ret = (k: number): Instruction => ({ code: RETURN, jt: 0, jf: 0, k })

/** Runs `body`, which ends in a return, when the loaded word compares; else goes on behind it. */
function when(code: number, k: number, body: Instruction[]): Instruction[] {
  return [{ code, jt: 0, jf: body.length, k }, ...body]
}

/**
 * The filter that every process of a sandbox runs under, as `struct sock_filter[]` for bwrap's `--seccomp`.
 * A foreign architecture and x32 kill the process; dangerous calls fail with EPERM; calls that nobody reviewed, with ENOSYS.
 * Throws on an architecture without a table: a sandbox without a filter is never made in silence.
 */
export function seccompProgram(arch: string): Buffer {
  if (!isSupported(arch)) throw new Error(`no seccomp filter for the architecture ${arch}`)
  const on = (syscall: Syscall, body: Instruction[]): Instruction[] => {
    const nr = syscall[arch]
    return nr === null ? [] : when(JUMP_EQUAL, nr, body)
  }
  const program = [
    load(ARCH),
    { code: JUMP_EQUAL, jt: 1, jf: 0, k: AUDIT_ARCH[arch] },
    ret(KILL_PROCESS),
    load(NR),
    ...when(JUMP_EQUAL, NO_SYSCALL, [ret(ENOSYS)]),
    ...(arch === 'x64' ? when(JUMP_GREATER_EQUAL, X32_BIT, [ret(KILL_PROCESS)]) : []),
    ...when(JUMP_GREATER, LAST_REVIEWED, [ret(ENOSYS)]),
    ...(arch === 'x64' ? [...when(JUMP_GREATER_EQUAL, X64_HOLE[0], hole())] : []),
    ...on(CLONE3, [ret(ENOSYS)]),
    ...on(CLONE, [load(argument(0)), ...when(JUMP_BITS, NEW_NAMESPACES, [ret(EPERM)]), ret(ALLOW)]),
    ...on(UNSHARE, [load(argument(0)), ...when(JUMP_BITS, NEW_NAMESPACES | CLONE_NEWTIME, [ret(EPERM)]), ret(ALLOW)]),
    ...on(IOCTL, [load(argument(1)), ...[TIOCSTI, TIOCLINUX].flatMap((k) => when(JUMP_EQUAL, k, [ret(EPERM)])), ret(ALLOW)]),
    ...on(PERSONALITY, [load(argument(0)), ...PERSONALITIES.flatMap((k) => when(JUMP_EQUAL, k, [ret(ALLOW)])), ret(EPERM)]),
    ...[SOCKET, SOCKETPAIR].flatMap((syscall) =>
      on(syscall, [load(argument(0)), ...FAMILIES.flatMap((k) => when(JUMP_EQUAL, k, [ret(ALLOW)])), ret(EAFNOSUPPORT)]),
    ),
    ...DENIED.flatMap((syscall) => on(syscall, [ret(EPERM)])),
    ret(ALLOW),
  ]
  return encode(program)
}

/** A number above the hole's end goes on to the rules; one inside it does not exist. */
function hole(): Instruction[] {
  return [{ code: JUMP_GREATER, jt: 1, jf: 0, k: X64_HOLE[1] }, ret(ENOSYS)]
}

function isSupported(arch: string): arch is SeccompArch {
  return arch === 'x64' || arch === 'arm64'
}

function encode(program: Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8)
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(jt, index * 8 + 2)
    bytes.writeUInt8(jf, index * 8 + 3)
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4)
  }
  return bytes
}
