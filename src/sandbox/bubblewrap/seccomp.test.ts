import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seccompProgram } from './seccomp.ts'
import { CLONE, CLONE3, DENIED, IOCTL, LAST_REVIEWED, PERSONALITY, SOCKET, SOCKETPAIR, UNSHARE } from './seccomp-syscalls.ts'

const arch = process.arch as 'x64' | 'arm64'

/** Makes each call of argv[1] (JSON lists of number and arguments) in a child of its own and prints what came of it. */
const PROBE = `
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
out = []
for nr, *args in json.loads(sys.argv[1]):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        ctypes.set_errno(0)
        got = libc.syscall(ctypes.c_long(nr), *[ctypes.c_long(a) for a in args])
        os.write(w, (errno.errorcode.get(ctypes.get_errno(), '?') if got == -1 else 'ok').encode())
        os._exit(0)
    os.close(w)
    _, status = os.waitpid(pid, 0)
    out.append('signal %d' % os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.read(r, 99).decode())
    os.close(r)
print(json.dumps(out))
`

/** getpid by the 32 bit entry: mov eax, 20; int 0x80; ret. */
const INT80 = `
import ctypes, mmap, os
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]))
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
print('came back')
`

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'seccomp-'))
  writeFileSync(join(directory, 'filter'), seccompProgram(process.arch))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function run(program: string, args: string[], filtered = true) {
  const fd = openSync(join(directory, 'filter'), 'r')
  const privileged = process.getuid?.() === 0 && !filtered ? ['--cap-add', 'ALL'] : []
  try {
    return spawnSync(
      'bwrap',
      [
        ...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc', '--unshare-pid', ...privileged],
        ...(filtered ? ['--seccomp', '3'] : []),
        ...['--', '/usr/bin/python3', '-c', program, ...args],
      ],
      { stdio: ['ignore', 'pipe', 'pipe', fd], encoding: 'utf8' },
    )
  } finally {
    closeSync(fd)
  }
}

function probe(calls: (number | null)[][], filtered = true): string[] {
  const done = run(PROBE, [JSON.stringify(calls)], filtered)
  if (done.status !== 0) throw new Error(done.stderr)
  return JSON.parse(done.stdout) as string[]
}

describe('the seccomp filter', () => {
  const denied = DENIED.filter((syscall) => syscall[arch] !== null)
  /** Calls that would do something in the control run even with senseless arguments. */
  const effective = ['vhangup']

  test('refuses every dangerous call', () => {
    const got = probe(denied.map((syscall) => [syscall[arch], -1, -1, -1, -1, -1]))
    expect(Object.fromEntries(denied.map((syscall, index) => [syscall.name, got[index]]))).toEqual(
      Object.fromEntries(denied.map((syscall) => [syscall.name, 'EPERM'])),
    )
  })

  test.skipIf(process.getuid?.() !== 0)('is what refuses them: without it root gets another answer', () => {
    const calls = denied.filter((syscall) => !effective.includes(syscall.name))
    const got = probe(
      calls.map((syscall) => [syscall[arch], -1, -1, -1, -1, -1]),
      false,
    )
    const others = calls.filter((_, index) => got[index] !== 'EPERM').map((syscall) => syscall.name)
    expect(others).toEqual(
      expect.arrayContaining(['mount', 'setns', 'keyctl', 'bpf', 'kexec_load', 'open_by_handle_at', 'reboot']),
    )
    expect(others.length).toBeGreaterThan(40)
  })

  const CLONE_NEWUSER = 0x10000000
  test.each<[string, (number | null)[], string]>([
    ['clone3', [CLONE3[arch], 0, 0], 'ENOSYS'],
    ['a call that nobody reviewed', [LAST_REVIEWED + 1, -1, -1, -1, -1], 'ENOSYS'],
    ['a number of the far future', [1000, -1], 'ENOSYS'],
    ['no call at all', [-1], 'ENOSYS'],
    ['unshare of a user namespace', [UNSHARE[arch], CLONE_NEWUSER], 'EPERM'],
    ['unshare of a time namespace', [UNSHARE[arch], 0x80], 'EPERM'],
    ['unshare of nothing new', [UNSHARE[arch], 0x400], 'ok'],
    ['clone into a user namespace', [CLONE[arch], CLONE_NEWUSER | 17, 0, 0, 0, 0], 'EPERM'],
    ['clone into a network namespace', [CLONE[arch], 0x40000000 | 17, 0, 0, 0, 0], 'EPERM'],
    ['typing into a terminal', [IOCTL[arch], 0, 0x5412, 0], 'EPERM'],
    ['typing into a terminal, with a high word', [IOCTL[arch], 0, 0x7_0000_5412, 0], 'EPERM'],
    ['the console ioctl', [IOCTL[arch], 0, 0x541c, 0], 'EPERM'],
    ['another ioctl', [IOCTL[arch], 0, 0x5401, 0], 'ENOTTY'],
    ['asking for the personality', [PERSONALITY[arch], 0xffffffff], 'ok'],
    ['a personality that makes data executable', [PERSONALITY[arch], 0x0400000], 'EPERM'],
    ['a unix socket', [SOCKET[arch], 1, 1, 0], 'ok'],
    ['a vsock socket', [SOCKET[arch], 40, 1, 0], 'EAFNOSUPPORT'],
    ['a crypto socket', [SOCKET[arch], 38, 5, 0], 'EAFNOSUPPORT'],
    ['a packet socket', [SOCKET[arch], 17, 3, 0], 'EAFNOSUPPORT'],
    ['a pair of tipc sockets', [SOCKETPAIR[arch], 30, 1, 0, -1], 'EAFNOSUPPORT'],
  ])('%s', (_, args, expected) => {
    expect(probe([args])).toEqual([expected])
  })

  test.runIf(arch === 'x64')('kills the 32 bit and the x32 entry', () => {
    expect(probe([[0x40000000 | 39]])).toEqual(['signal 31'])
    const done = run(INT80, [])
    expect(done.stdout).not.toContain('came back')
    // bwrap as its parent answers 128 + SIGSYS.
    expect(done.status).toBe(159)
  })

  test('lets a program that forks, threads and connects run', () => {
    const done = run(
      'import subprocess, threading, socket\nt = threading.Thread(target=lambda: print(subprocess.check_output(["/bin/echo", "ran"]).decode().strip()))\nt.start(); t.join()\na, b = socket.socketpair(); a.send(b"x"); print(b.recv(1))',
      [],
    )
    expect(done.stdout).toBe("ran\nb'x'\n")
  })

  test.each(['x64', 'arm64'])('is well formed for %s', (name) => {
    const program = seccompProgram(name)
    const count = program.length / 8
    for (let at = 0; at < count; at++) {
      const code = program.readUInt16LE(at * 8)
      if ((code & 0x07) !== 0x05) continue
      expect(at + 1 + program.readUInt8(at * 8 + 2)).toBeLessThan(count)
      expect(at + 1 + program.readUInt8(at * 8 + 3)).toBeLessThan(count)
    }
    expect(program.readUInt16LE((count - 1) * 8)).toBe(0x06)
  })

  test('is not made for an architecture without a table', () => {
    expect(() => seccompProgram('riscv64')).toThrow('riscv64')
  })
})
