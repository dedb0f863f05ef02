import { describe, expect, test } from 'vitest'
import { type BwrapPlan, bwrapArguments, searchPath } from './bwrap-arguments.ts'

const plan: BwrapPlan = {
  network: 'none',
  system: [
    { kind: 'bind', source: '/usr', destination: '/usr' },
    { kind: 'symlink', target: 'usr/bin', destination: '/bin' },
  ],
  etc: { passwd: '/stage/passwd' },
  volume: '/stage/volume',
  secrets: '/stage/secrets',
  node: '/stage/node',
  bundle: '/stage/host.mjs',
  connectorBridge: null,
  binds: [{ source: '/stage/9', destination: '/opt/tools' }],
  nodeOptions: ['--max-old-space-size=64'],
  tmpBytes: 1000,
  shmBytes: 500,
  path: '/usr/bin',
}

const line = (changes: Partial<BwrapPlan> = {}) => ` ${bwrapArguments({ ...plan, ...changes }).join(' ')} `

describe('the arguments of bwrap', () => {
  test.each(['user', 'ipc', 'pid', 'net', 'uts', 'cgroup'])('a %s namespace of its own', (name) => {
    expect(line()).toContain(` --unshare-${name} `)
  })

  test.each([
    '--disable-userns',
    '--cap-drop ALL',
    '--new-session',
    '--as-pid-1',
    '--clearenv',
    '--seccomp 6',
    '--info-fd 4',
    '--block-fd 5',
    '--uid 1000',
    '--gid 1000',
    '--ro-bind /proc/sys /proc/sys',
    '--size 1000 --tmpfs /tmp',
    '--size 500 --tmpfs /dev/shm',
    '--ro-bind /stage/passwd /etc/passwd',
    '--ro-bind /stage/9 /opt/tools',
    '--ro-bind /stage/secrets /session/secrets',
    '--remount-ro / --chdir /session/code --',
  ])('%s', (text) => {
    expect(line()).toContain(` ${text} `)
  })

  test('nothing writable is bound but the volume', () => {
    const args = bwrapArguments(plan)
    const writable = args.filter((arg) => arg === '--bind' || arg.startsWith('--dev-bind'))
    expect(writable).toEqual(['--bind'])
    expect(line()).toContain(' --bind /stage/volume /session --ro-bind /stage/secrets /session/secrets ')
  })

  test('the network of the machine, and nothing else, is shared when asked for', () => {
    const removed = bwrapArguments(plan).filter((arg) => !bwrapArguments({ ...plan, network: 'host' }).includes(arg))
    expect(removed).toEqual(['--unshare-net'])
  })

  test('without secrets an empty directory stands in their place', () => {
    const without = line({ secrets: null })
    expect(without).not.toContain('/stage/secrets')
    expect(without).toContain(' --tmpfs /session/secrets --remount-ro /session/secrets ')
  })

  test('does not die with the server', () => {
    expect(line()).not.toContain('--die-with-parent')
  })

  test('PATH begins with what was found and names nothing twice', () => {
    expect(searchPath(['/opt/node/bin', '/usr/bin'])).toBe(
      '/opt/node/bin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin',
    )
  })
})
