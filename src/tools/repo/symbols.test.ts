import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { FileSymbol } from './symbols/file-symbol.ts'
import { grammarFor } from './symbols/grammars.ts'
import { parseInWorker } from './symbols/parse-in-worker.ts'
import symbols from './symbols.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

async function outline(path: string, source: string) {
  await workspace.plant({ [path]: source })
  const { output } = await workspace.call(symbols, { path })
  return { ...output, symbols: (output['symbols'] as FileSymbol[]).map(({ kind, name, line }) => `${kind} ${name} ${line}`) }
}

const TS = `export function sum(a: number): number { return a }
export abstract class Base<T> extends Other {
  constructor(readonly a: T) { super() }
  async run(): Promise<void> { const local = 1; function inner() {} }
  abstract stop(): void
}
interface Shape { area(): number }
type Name = string
enum Color { Red }
export const LIMIT = 3
let count = 0
const arrow = async (x: number) => x
const { a, b } = { a: 1, b: 2 }
namespace N { export const inside = 1 }
`

describe('repo.symbols', () => {
  it.each(['a.ts', 'a.unknown'])('cuts no secret in a signature of %s', async (path) => {
    const source = Array.from(
      { length: 60 },
      (_, n) => `\nexport function f${n}(${'x'.repeat(130 + n)} = '${SECRET.value}', y = ${'z'.repeat(100)}) {}`,
    )
    await workspace.plant({ [path]: source.join('\n') })
    const { output } = await workspace.call(symbols, { path })
    const found = output['symbols'] as FileSymbol[]
    expect(found.map(({ line }) => line)).toEqual(source.map((_, n) => 2 * n + 2))
    for (const { signature = '' } of found) expect(signature).not.toContain(SECRET.value.slice(0, 3))
  })

  it.each<[string, string, string, string[]]>([
    [
      'a.ts',
      'typescript',
      TS,
      [
        'function sum 1',
        'class Base 2',
        'method constructor 3',
        'method run 4',
        'function inner 4',
        'method stop 5',
        'interface Shape 7',
        'type Name 8',
        'enum Color 9',
        'constant LIMIT 10',
        'variable count 11',
        'function arrow 12',
        'namespace N 14',
      ],
    ],
    ['a.tsx', 'tsx', 'export const App = () => <div>hi</div>\n', ['function App 1']],
    [
      'a.js',
      'javascript',
      'function* gen() {}\nclass A { static m() {} }\nmodule.exports = { A }\nvar x = function () {}\n',
      ['function gen 1', 'class A 2', 'method m 2', 'function x 4'],
    ],
    [
      'a.py',
      'python',
      'import os\nLIMIT = 3\nclass A(B):\n    x = 1\n    def m(self):\n        def inner(): pass\n        local = 2\n\n@deco\nasync def f(a, *b): pass\n',
      ['variable LIMIT 2', 'class A 3', 'method m 5', 'function inner 6', 'function f 10'],
    ],
    [
      'a.go',
      'go',
      'package a\nconst Limit = 1\nvar x, y int\ntype T struct{ a int }\ntype I interface{ M() }\ntype F func()\nfunc (t *T) M() { z := 1; _ = z }\nfunc main() { var local int; _ = local }\n',
      [
        'constant Limit 2',
        'variable x 3',
        'variable y 3',
        'struct T 4',
        'interface I 5',
        'type F 6',
        'method M 7',
        'function main 8',
      ],
    ],
    [
      'a.rs',
      'rust',
      'const A: u8 = 1;\nstruct S;\nenum E { X }\ntrait T { fn t(&self); }\nimpl T for S { fn t(&self) { fn inner() {} } }\nmod m { pub fn f() {} }\nmacro_rules! mac { () => {} }\ntype Alias = u8;\nstatic G: u8 = 1;\n',
      [
        'constant A 1',
        'struct S 2',
        'enum E 3',
        'trait T 4',
        'method t 4',
        'method t 5',
        'function inner 5',
        'module m 6',
        'function f 6',
        'macro mac 7',
        'type Alias 8',
        'variable G 9',
      ],
    ],
    [
      'A.java',
      'java',
      'package p;\npublic class A<T> implements B {\n  private int x, y = 1;\n  A() {}\n  @Override public int m(int a) { int local = 1; return a; }\n  enum E { X }\n}\ninterface I { void f(); }\nrecord R(int a) {}\n',
      [
        'class A 2',
        'field x 3',
        'field y 3',
        'constructor A 4',
        'method m 5',
        'enum E 6',
        'interface I 8',
        'method f 8',
        'record R 9',
      ],
    ],
    [
      'a.c',
      'c',
      '#define LIMIT 3\n#define MAX(a, b) a\nstruct point { int x; };\nstruct point *origin;\nenum color { RED };\ntypedef unsigned long size;\nint prototype(int);\nstatic int *find(char *a) { int local; return 0; }\nint counter = 1;\nint (*handler)(void);\n',
      [
        'macro LIMIT 1',
        'macro MAX 2',
        'struct point 3',
        'variable origin 4',
        'enum color 5',
        'type size 6',
        'prototype prototype 7',
        'function find 8',
        'variable counter 9',
        'prototype handler 10',
      ],
    ],
    ['a.rb', 'ruby', 'module M\n  class A\n    def self.run!\n', ['module M 1', 'class A 2', 'method self.run! 3']],
    ['a.sh', 'shell', 'function one {\n}\ntwo() {\n', ['function one 1', 'function two 3']],
    ['a.kt', 'kotlin', 'data class A(val x: Int)\nprivate fun f() = 1\n', ['class A 1', 'function f 2']],
    ['a.hpp', 'cpp', 'namespace n {\nclass A {};\nint A::run(int a) {\n', ['namespace n 1', 'class A 2', 'function A::run 3']],
    ['README.md', 'markdown', '# One\ntext\n## Two\n', ['heading One 1', 'heading Two 3']],
    ['a.zig', 'unknown', 'pub\nfn main() {\n', ['function main 2']],
    ['empty.py', 'python', '', []],
  ])('reads %s', async (path, language, source, wanted) => {
    expect(await outline(path, source)).toEqual({ path, language, symbols: wanted, count: wanted.length, truncated: false })
  })

  it('gives signatures on one line', async () => {
    await workspace.plant({
      'a.ts': `export function many(\n  a: number,\n  b: string,\n): void {\n}\nclass ${'X'.repeat(400)} {}\n`,
    })
    const found = (await workspace.call(symbols, { path: 'a.ts' })).output['symbols'] as FileSymbol[]
    expect(found[0]).toEqual({
      kind: 'function',
      name: 'many',
      line: 1,
      signature: 'function many( a: number, b: string, ): void',
    })
    expect(found[1]?.name).toHaveLength(200)
    expect(found[1]?.signature).toHaveLength(200)
  })

  it('reads what has errors, and code above the plane of Unicode', async () => {
    expect((await outline('a.go', 'package a\nfunc ok() {}\nfunc broken( {\nfunc after() {}\n')).symbols).toContain(
      'function ok 2',
    )
    expect((await outline('b.py', '# 😀😀\ndef späť(): pass\n')).symbols).toEqual(['function späť 2'])
  })

  it.each(['(', 'a<', 'a(b=>{', '${', '{"a":[', '/*', 'class A {'])('survives a MiB of %j', { timeout: 60_000 }, async (part) => {
    await workspace.plant({ 'a.js': part.repeat((1024 * 1024) / part.length) })
    const outcome = await workspace.call(symbols, { path: 'a.js' }).catch((error: unknown) => error)
    expect(outcome).toSatisfy(
      (value: { output?: object; code?: string }) => value.output !== undefined || value.code === 'execution_failed',
    )
  })

  it('stops a parser that takes too long, and one that nobody waits for', async () => {
    const grammar = grammarFor('.js')
    if (!grammar) throw new Error('no grammar')
    const signal = new AbortController().signal
    await expect(parseInWorker('('.repeat(1024 * 1024), grammar, { milliseconds: 1, signal })).rejects.toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('within 1 ms'),
    })
    const cancelled = parseInWorker('', grammar, { milliseconds: 10_000, signal: AbortSignal.abort() })
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' })
    await expect(
      parseInWorker('', { ...grammar, wasm: 'no-such-package/x.wasm' }, { milliseconds: 10_000, signal }),
    ).rejects.toMatchObject({ code: 'execution_failed', message: expect.stringContaining('could not be parsed') })
  })

  it('cuts at 5000', async () => {
    await workspace.plant({ 'a.js': 'function f(){}\n'.repeat(5001), 'a.rb': 'def f\n'.repeat(5001) })
    for (const path of ['a.js', 'a.rb'])
      expect((await workspace.call(symbols, { path })).output).toMatchObject({ count: 5000, truncated: true })
  })

  it('says what is wrong with a file or a path', async () => {
    await workspace.plant({ 'big.js': 'x'.repeat(1024 * 1024 + 1), 'a.bin': 'a\0b', 'dir/a.js': '', 'inside.js': 'let x = 1' })
    symlinkSync('/etc/passwd', join(workspace.code, 'link.js'))
    symlinkSync('../secrets/API_TOKEN', join(workspace.code, 'secret.js'))
    symlinkSync('inside.js', join(workspace.code, 'ok.js'))
    const code = async (path: string, options = {}) => (await workspace.failure(symbols, { path }, options)).code
    expect(await code('big.js')).toBe('invalid_argument')
    expect(await code('a.bin')).toBe('invalid_argument')
    expect(await code('dir')).toBe('invalid_argument')
    expect(await code('nowhere.js')).toBe('not_found')
    for (const path of ['link.js', 'secret.js', '../x.js', '/etc/passwd', '/session/secrets/API_TOKEN'])
      expect(await code(path), path).toBe('policy_denied')
    expect(await code('inside.js', { allowed_paths: ['dir'] })).toBe('policy_denied')
    expect((await workspace.call(symbols, { path: 'ok.js' })).output).toMatchObject({ count: 1 })
  })

  it('refuses by its schema', () => {
    for (const wrong of [{}, { path: 1 }, { path: '' }, { path: 'a', other: 1 }])
      expect(symbols.input.safeParse(wrong).success).toBe(false)
    expect(symbols.metadata).toMatchObject({ requires_approval: false, policy: { paths: [{ field: 'path', access: 'read' }] } })
  })
})
