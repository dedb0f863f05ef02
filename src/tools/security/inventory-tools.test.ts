import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import { parseLicense } from '../inventory/license-expression.ts'
import licenseCheck from './license_check.ts'
import { judgeLicense } from './license-verdict.ts'
import scan from './scan_dependencies.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

const lock = (packages: Record<string, object>) =>
  JSON.stringify({
    lockfileVersion: 3,
    packages: Object.fromEntries(Object.entries(packages).map(([name, entry]) => [`node_modules/${name}`, entry])),
  })
const names = (output: Record<string, unknown>) => (output['dependencies'] as { name: string }[]).map(({ name }) => name)

describe('security.scan_dependencies', () => {
  it('lists what a lockfile has, with licences from the packages where the lockfile has none', async () => {
    await workspace.plant({
      'package.json': '{}',
      'package-lock.json': lock({ a: { version: '1.0.0', license: 'MIT' }, b: { version: '2.0.0' }, c: { version: '3.0.0' } }),
      'node_modules/b/package.json': '{"license":{"type":"ISC"}}',
    })
    const { output, exit_code } = await workspace.call(scan, {})
    expect(output).toMatchObject({
      project_type: 'node',
      command: [],
      scanner: 'lockfiles',
      dependencies_count: 3,
      dependencies: [
        { name: 'a', version: '1.0.0', ecosystem: 'npm', license: 'MIT' },
        { name: 'b', version: '2.0.0', ecosystem: 'npm', license: 'ISC' },
        { name: 'c', version: '3.0.0', ecosystem: 'npm', license: null },
      ],
      truncated: false,
      sources: ['package-lock.json'],
    })
    expect([exit_code, output['output']]).toEqual([0, 'npm a 1.0.0 MIT\nnpm b 2.0.0 ISC\nnpm c 3.0.0 (licence not known)\n'])
  })

  it.each([
    [
      'pnpm-lock.yaml',
      "lockfileVersion: '9.0'\n\npackages:\n\n  '@s/b@2.0.0':\n    resolution: {}\n",
      'node_modules/.pnpm/@s+b@2.0.0/node_modules/@s/b/package.json',
    ],
    ['yarn.lock', '# yarn lockfile v1\n\n"@s/b@^2.0.0":\n  version "2.0.0"\n', 'node_modules/@s/b/package.json'],
  ])('reads %s, with the licence of what is installed in that version', async (name, lockfile, manifest) => {
    await workspace.plant({ [name]: lockfile, [manifest]: '{"version":"2.0.0","license":"ISC"}' })
    const b = { name: '@s/b', version: '2.0.0', ecosystem: 'npm' }
    const dependencies = async () => (await workspace.call(scan, {})).output['dependencies']
    expect(await dependencies()).toEqual([{ ...b, license: 'ISC' }])
    await workspace.plant({ [manifest]: '{"version":"1.9.9","license":"GPL-3.0"}' })
    expect(await dependencies()).toEqual([{ ...b, license: null }])
    await workspace.plant({ [name]: 'none: at all\n' })
    expect(await workspace.failure(scan, {})).toMatchObject({ code: 'execution_failed' })
  })

  it('reads poetry.lock', async () => {
    await workspace.plant({ 'pyproject.toml': '', 'poetry.lock': '[[package]]\nname = "attrs"\nversion = "23.1.0"\n' })
    expect((await workspace.call(scan, {})).output).toMatchObject({
      project_type: 'python',
      dependencies: [{ name: 'attrs', version: '23.1.0', ecosystem: 'pypi', license: null }],
    })
  })

  it('reads requirements that name others, and what is installed', async () => {
    await workspace.plant({
      'requirements.txt': 'Flask==2.0.1\nloose>=1\n-r deep/more.txt\n-r requirements.txt\n',
      'deep/more.txt': 'more==1.0\n-r ../requirements.txt\n',
      '.workspace-venv/lib/python3.11/site-packages/loose-1.4.dist-info/METADATA':
        'Name: loose\nVersion: 1.4\nLicense: BSD-3-Clause\n',
      '.workspace-venv/lib/python3.11/site-packages/flask-9.dist-info/METADATA': 'Name: Flask\nVersion: 9\nLicense: WRONG\n',
    })
    const { output } = await workspace.call(scan, {})
    expect(output['dependencies']).toEqual([
      { name: 'flask', version: '2.0.1', ecosystem: 'pypi', license: null },
      { name: 'loose', version: '1.4', ecosystem: 'pypi', license: 'BSD-3-Clause' },
      { name: 'more', version: '1.0', ecosystem: 'pypi', license: null },
    ])
    expect(output['sources']).toEqual(['requirements.txt', 'deep/more.txt'])
  })

  it('says what makes it less than complete', async () => {
    await workspace.plant({ 'package.json': '{"dependencies":{"a":"^1"}}', 'Cargo.toml': '', 'pom.xml': '<project/>' })
    const { output } = await workspace.call(scan, {})
    for (const note of ['without a lockfile', 'without a Cargo.lock', 'without what that depends on'])
      expect(output['output']).toContain(note)
    await workspace.clear()
    expect((await workspace.call(scan, {})).output).toMatchObject({ project_type: 'unknown', dependencies_count: 0, sources: [] })
  })

  it('reads go.sum where go.mod is not complete', async () => {
    const sum = 'b v1.0.0 h1:x=\nb v1.0.0/go.mod h1:x=\n'
    await workspace.plant({ 'go.mod': 'module x\ngo 1.16\nrequire a v1.0.0\n', 'go.sum': sum })
    expect(names((await workspace.call(scan, {})).output)).toEqual(['a', 'b'])
    await workspace.plant({ 'go.mod': 'module x\ngo 1.19\nrequire a v1.0.0\n', 'go.sum': sum })
    expect(names((await workspace.call(scan, {})).output)).toEqual(['a'])
  })

  it('keeps to max_dependencies, and reads nothing that a lockfile leads to outside', async () => {
    await workspace.plant({ 'package-lock.json': lock({ a: { version: '1' }, b: { version: '1' }, c: { version: '1' } }) })
    expect((await workspace.call(scan, { max_dependencies: 2 })).output).toMatchObject({ dependencies_count: 2, truncated: true })
    expect((await workspace.call(scan, { max_dependencies: 3 })).output).toMatchObject({
      dependencies_count: 3,
      truncated: false,
    })
    await workspace.plant({
      'package-lock.json': JSON.stringify({
        packages: { '../../etc/node_modules/x': { version: '1' }, 'node_modules/y': { version: '1' } },
      }),
    })
    symlinkSync('/etc', join(workspace.code, 'node_modules'))
    expect((await workspace.call(scan, {})).output).toMatchObject({
      dependencies: [
        { name: 'x', license: null },
        { name: 'y', license: null },
      ],
    })
  })

  it.each([
    ['package-lock.json', '[]'],
    ['package-lock.json', '{"a":1}'],
    ['pom.xml', 'hello'],
    ['package.json', '7'],
  ])('says that %s with %s cannot be read', async (name, content) => {
    await workspace.plant({ [name]: content })
    expect(await workspace.failure(scan, {})).toMatchObject({
      code: 'execution_failed',
      message: `${name} cannot be read as one`,
    })
  })

  itWithstandsAttacks(() => workspace, {
    tool: scan,
    project: {},
    path: 'path',
    partial: true,
    refused: [{ path: 7 }, { max_dependencies: 0 }, { max_dependencies: 5001 }, { max_dependencies: '5' }],
  })
})

describe('security.license_check', () => {
  const check = async (args: object = {}) => await workspace.call(licenseCheck, { ...args })
  const plant = async (licenses: Record<string, string | undefined>) =>
    await workspace.plant({
      'package-lock.json': lock(
        Object.fromEntries(Object.entries(licenses).map(([name, license]) => [name, { version: '1.0.0', license }])),
      ),
    })

  it('passes, warns and fails', async () => {
    await plant({ a: 'MIT', b: 'ISC' })
    const pass = await check({ denied_licenses: ['GPL-3.0'] })
    expect(pass).toMatchObject({
      exit_code: 0,
      output: { status: 'pass', exit_code: 0, counts: { dependencies: 2, allowed: 2, violations: 0, unknown: 0 } },
    })
    await plant({ a: 'MIT', b: 'GPL-3.0-only', c: undefined })
    const fail = await check({ denied_licenses: ['GPL-3.0'] })
    expect(fail).toMatchObject({
      exit_code: 1,
      output: {
        status: 'fail',
        exit_code: 1,
        violations: [{ name: 'b', license: 'GPL-3.0-only', reason: 'denied' }],
        unknown: ['c'],
      },
    })
    expect(await check({ allowed_licenses: ['GPL-3.0', 'MIT'] })).toMatchObject({
      exit_code: 0,
      output: { status: 'warn', violations: [] },
    })
    expect(await check({ allowed_licenses: ['MIT'] })).toMatchObject({
      output: { violations: [{ name: 'b', reason: 'not_allowed' }] },
    })
    expect(await check({ unknown_policy: 'deny' })).toMatchObject({
      exit_code: 1,
      output: { violations: [{ name: 'c', license: null, reason: 'unknown' }] },
    })
  })

  it('does not pass what it did not look at', async () => {
    await plant({ a: 'MIT', b: 'MIT', c: 'GPL-3.0-only' })
    expect(await check({ max_dependencies: 2 })).toMatchObject({ exit_code: 0, output: { status: 'warn', truncated: true } })
    expect(await check({ max_dependencies: 2, unknown_policy: 'deny' })).toMatchObject({
      exit_code: 1,
      output: { status: 'fail' },
    })
  })

  it('says what cannot be read', async () => {
    await workspace.plant({ 'package-lock.json': '' })
    expect(await workspace.failure(licenseCheck, {})).toMatchObject({ code: 'execution_failed' })
  })

  itWithstandsAttacks(() => workspace, {
    tool: licenseCheck,
    project: {},
    path: 'path',
    partial: true,
    refused: [
      { allowed_licenses: 'MIT' },
      { denied_licenses: [1] },
      { denied_licenses: [''] },
      { denied_licenses: Array.from({ length: 201 }, () => 'x') },
      { unknown_policy: 'allow' },
      { max_dependencies: 5001 },
    ],
  })
})

describe('judgeLicense', () => {
  it.each<[string | null, string[], string[], string]>([
    ['MIT', [], [], 'allowed'],
    ['mit', ['MIT'], [], 'allowed'],
    ['MIT', ['ISC'], [], 'not_allowed'],
    ['MIT', [], ['MIT'], 'denied'],
    ['MIT', ['MIT'], ['MIT'], 'denied'],
    ['(MIT OR GPL-3.0-only)', [], ['GPL-3.0'], 'allowed'],
    ['MIT AND GPL-3.0-or-later', [], ['GPL-3.0'], 'denied'],
    ['MIT AND (ISC OR GPL-2.0+)', ['MIT', 'ISC'], ['GPL-2.0'], 'allowed'],
    ['GPL-3.0-only', [], ['LGPL-3.0'], 'allowed'],
    ['LGPL-3.0-only', [], ['GPL-3.0'], 'allowed'],
    ['GPL-2.0-only WITH Classpath-exception-2.0', [], ['GPL-2.0'], 'denied'],
    ['SEE LICENSE IN LICENSE.md', [], [], 'unknown'],
    ['SEE LICENSE IN LICENSE.md', ['MIT'], [], 'unknown'],
    ['BSD License', ['BSD License'], [], 'allowed'],
    ['Evil License', [], ['Evil License'], 'denied'],
    [null, ['MIT'], [], 'unknown'],
  ])('%s, allowed %j, denied %j: %s', (license, allowed, denied, verdict) => {
    expect(judgeLicense({ license }, { allowed, denied })).toBe(verdict)
  })

  it.each([
    '',
    '(',
    ')',
    'MIT OR',
    'OR MIT',
    'AND',
    'MIT ISC',
    '(MIT',
    'MIT)',
    'MIT WITH',
    'MIT WITH )',
    '('.repeat(5000),
    'a '.repeat(5000),
    'MIT; rm',
    'MIT OR '.repeat(200),
  ])('%j is no expression', (text) => {
    expect(parseLicense(text)).toBeNull()
  })
})
