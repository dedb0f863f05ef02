import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { inheritableDescriptors } from './inherited-descriptors.ts'

const MODULE = fileURLToPath(new URL('./inherited-descriptors.ts', import.meta.url))

/** A Node that was started with the machine's root directory and a pipe as descriptors 21 and 23, and what it says. */
function withPlanted(program: string): unknown {
  const root = openSync('/', 'r')
  const pipe = openSync('/dev/null', 'r+')
  const stdio = Array.from({ length: 24 }, (_, fd): number | 'ignore' | 'pipe' =>
    fd === 21 ? root : fd === 23 ? pipe : fd === 1 || fd === 2 ? 'pipe' : 'ignore',
  )
  const source = `import { closeInheritedDescriptors, inheritableDescriptors } from ${JSON.stringify(MODULE)}
import { spawnSync } from 'node:child_process'
const inherited = () => spawnSync('/bin/ls', ['/proc/self/fd'], { encoding: 'utf8' }).stdout.split('\\n').filter((fd) => Number(fd) > 20)
console.log(JSON.stringify(${program}))`
  try {
    const done = spawnSync(process.execPath, ['--input-type=module', '-e', source], { stdio, encoding: 'utf8' })
    return JSON.parse(done.stdout || `{"error": ${JSON.stringify(done.stderr)}}`)
  } finally {
    closeSync(root)
    closeSync(pipe)
  }
}

describe('inherited descriptors', () => {
  test('reach what a program starts when nobody closes them', () => {
    expect(withPlanted('inherited()')).toEqual(expect.arrayContaining(['21', '23']))
  })

  test('are found, closed, and reach nothing then', () => {
    // Whoever runs the tests may have handed down more.
    const planted = expect.arrayContaining([21, 23])
    expect(withPlanted('[inheritableDescriptors(), closeInheritedDescriptors(), inherited()]')).toEqual([planted, planted, []])
  })

  test('are not those that Node opens by itself', () => {
    const own = ['r', 'r+'].map((flags) => openSync('/dev/null', flags))
    try {
      expect(inheritableDescriptors().filter((fd) => own.includes(fd))).toEqual([])
    } finally {
      for (const fd of own) closeSync(fd)
    }
  })
})
