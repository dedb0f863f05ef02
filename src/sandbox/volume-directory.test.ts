import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VolumeDirectory } from './volume-directory.ts'

const CONTENTS = { uid: null, secrets: { TOKEN: 'hunter22', OTHER: 'two\nlines' }, staging: { 'setup.sh': '#!/bin/sh\n' } }
const UID = 64_200

describe('VolumeDirectory', () => {
  let home: string
  let volumes: VolumeDirectory
  const modeOf = (path: string) => (statSync(join(home, 'volumes', path)).mode & 0o7777).toString(8)

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'cl-'))
    volumes = new VolumeDirectory(join(home, 'volumes'))
  })

  afterEach(() => rmSync(home, { recursive: true, force: true }))

  it('makes what a session needs, private whatever the umask is', async () => {
    const before = process.umask(0)
    try {
      await volumes.create('ses_1', CONTENTS)
    } finally {
      process.umask(before)
    }
    const modes = [
      'ses_1',
      'ses_1/volume',
      'ses_1/volume/code',
      'ses_1/volume/data',
      'ses_1/secrets',
      'ses_1/secrets/TOKEN',
      'ses_1/staging',
    ]
    expect(modes.map(modeOf)).toEqual(['711', '700', '700', '700', '700', '400', '700'])
    expect(await volumes.readSecrets('ses_1')).toEqual(CONTENTS.secrets)
    expect(await volumes.readStaging('ses_1')).toEqual(CONTENTS.staging)
    await volumes.clearStaging('ses_1')
    expect(await volumes.readStaging('ses_1')).toEqual({})
    expect(await volumes.list()).toEqual(['ses_1'])
  })

  it.skipIf(process.getuid?.() !== 0)('gives the sandbox what is its own and nothing else (only root can give)', async () => {
    await volumes.create('ses_1', { ...CONTENTS, uid: UID })
    const owners = ['', 'volume', 'volume/code', 'volume/data', 'secrets', 'secrets/TOKEN', 'staging', 'staging/setup.sh']
    expect(owners.map((path) => statSync(join(home, 'volumes/ses_1', path)).uid)).toEqual([0, UID, UID, UID, UID, UID, 0, 0])
  })

  it('does not touch what is there', async () => {
    await volumes.create('ses_1', CONTENTS)
    await expect(volumes.create('ses_1', { ...CONTENTS, secrets: {} })).rejects.toMatchObject({ code: 'conflict' })
    expect(await volumes.readSecrets('ses_1')).toEqual(CONTENTS.secrets)
  })

  it.each([
    ['../x', {}],
    ['.', {}],
    ['', {}],
    ['a/b', {}],
    ['A', {}],
    ['a\n', {}],
    ['ses_1', { secrets: { '../x': 'v' } }],
    ['ses_1', { secrets: { 'a/b': 'v' } }],
    ['ses_1', { staging: { '../x': 'v' } }],
    ['ses_1', { staging: { '.x': 'v' } }],
  ])('refuses %j %j and leaves nothing', async (id, more) => {
    await expect(volumes.create(id, { ...CONTENTS, ...more })).rejects.toMatchObject({ code: 'invalid_argument' })
    expect(await volumes.list()).toEqual([])
    expect(existsSync(join(home, 'volumes', 'ses_1'))).toBe(false)
  })

  it('destroys what a hostile session left, and nothing that its links lead to', async () => {
    await volumes.create('ses_1', CONTENTS)
    await volumes.create('ses_2', CONTENTS)
    const code = join(volumes.volume('ses_1'), 'code')
    writeFileSync(join(home, 'precious'), 'precious')
    symlinkSync(home, join(code, 'link'))
    symlinkSync(volumes.directory('ses_2'), join(code, 'other'))
    mkdirSync(join(code, 'closed/deeper'), { recursive: true })
    chmodSync(join(code, 'closed/deeper'), 0)
    chmodSync(join(code, 'closed'), 0)
    let deep = code
    // As deep as a path can be named in one go.
    for (let i = 0; i < 30; i++) deep = join(deep, 'd'.repeat(100))
    mkdirSync(deep, { recursive: true })
    await volumes.destroy('ses_1')
    await volumes.destroy('ses_1')
    expect(existsSync(join(home, 'precious'))).toBe(true)
    expect(await volumes.list()).toEqual(['ses_2'])
    expect(await volumes.readSecrets('ses_2')).toEqual(CONTENTS.secrets)
  })

  it('does not read a secret through a link', async () => {
    await volumes.create('ses_1', CONTENTS)
    symlinkSync('/etc/hostname', join(volumes.secrets('ses_1'), 'LINK'))
    await expect(volumes.readSecrets('ses_1')).rejects.toMatchObject({ code: 'ELOOP' })
  })
})
