import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { installRuntime, nodeToolchain } from './node-runtime.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'runtime-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** A directory tree with these files. */
function tree(...files: string[]): void {
  for (const file of files) {
    mkdirSync(join(root, file, '..'), { recursive: true })
    writeFileSync(join(root, file), '#!/bin/sh\n')
    chmodSync(join(root, file), 0o755)
  }
}

describe('the runtime', () => {
  const install = () => installRuntime(join(root, 'home'), join(root, 'node'), join(root, 'host.mjs'))

  test('is installed once, readable by sandboxes but for Node, which can only be run', async () => {
    tree('node', 'host.mjs')
    const umask = process.umask(0o077)
    const runtime = await install().finally(() => process.umask(umask))
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
    expect(mode(runtime.node)).toBe('111')
    const files = [runtime.bundle, runtime.seccomp, ...Object.values(runtime.etc.none), ...Object.values(runtime.etc.host)]
    expect(files.map(mode)).toEqual(files.map(() => '444'))
    expect(Object.keys(runtime.etc.none)).toEqual(['passwd', 'group', 'nsswitch.conf', 'hosts'])
    expect(Object.keys(runtime.etc.host)).not.toContain('hosts')
    const inodes = () => readdirSync(join(root, 'home/runtime')).map((name) => statSync(join(root, 'home/runtime', name)).ino)
    const before = inodes()
    expect(await install()).toEqual(runtime)
    expect(inodes()).toEqual(before)
  })

  test('of another version stands beside the old one', async () => {
    tree('node', 'host.mjs')
    const first = await install()
    writeFileSync(join(root, 'host.mjs'), 'another')
    utimesSync(join(root, 'node'), 1, 1)
    const second = await install()
    expect(second.bundle).not.toBe(first.bundle)
    expect(second.node).not.toBe(first.node)
    expect(statSync(first.node).isFile()).toBe(true)
    expect(execFileSync('cat', [second.bundle], { encoding: 'utf8' })).toBe('another')
  })

  test('leaves no half a file when it cannot be written', async () => {
    tree('node')
    await expect(install()).rejects.toThrow('host.mjs')
    expect(readdirSync(join(root, 'home/runtime')).filter((name) => /^(host|node).*\./.test(name))).toEqual([])
  })
})

describe("the session's Node", () => {
  test('is found by itself in /usr', () => {
    expect(nodeToolchain('/usr/bin/env')).toEqual({ entries: [], path: ['/usr/bin'] })
  })

  test('comes with npm from a version manager, and with nothing else that lies there', () => {
    tree('n/bin/node', 'n/bin/secret-tool', 'n/.npmrc', 'n/lib/node_modules/npm/bin/npm-cli.js', 'n/lib/node_modules/other/x')
    const { entries, path } = nodeToolchain(join(root, 'n/bin/node'))
    expect(path).toEqual(['/opt/node/bin'])
    expect(entries).toEqual([
      { kind: 'bind', source: join(root, 'n/bin/node'), destination: '/opt/node/bin/node' },
      { kind: 'bind', source: join(root, 'n/lib/node_modules/npm'), destination: '/opt/node/lib/node_modules/npm' },
      { kind: 'symlink', target: '../lib/node_modules/npm/bin/npm-cli.js', destination: '/opt/node/bin/npm' },
      { kind: 'symlink', target: '../lib/node_modules/npm/bin/npx-cli.js', destination: '/opt/node/bin/npx' },
    ])
  })

  test('is itself alone when it is a copied binary', () => {
    tree('home/node', 'home/.ssh/id')
    expect(nodeToolchain(join(root, 'home/node')).entries).toEqual([
      { kind: 'bind', source: join(root, 'home/node'), destination: '/opt/node/bin/node' },
    ])
  })
})
