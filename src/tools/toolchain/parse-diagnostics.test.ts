import { describe, expect, it } from 'vitest'
import { coveragePercent } from './coverage-percent.ts'
import { parseDiagnostics } from './parse-diagnostics.ts'

const one = (output: string) => {
  const [first, ...rest] = parseDiagnostics(output)
  expect(rest).toEqual([])
  return first && [first.path, first.line, first.column, first.severity, first.code, first.message]
}

describe('parseDiagnostics', () => {
  it.each<[string, string, (string | number | null)[]]>([
    [
      'gcc',
      'src/a.c:3:5: error: expected ‘;’ before ‘}’ token\n    3 | x\n',
      ['src/a.c', 3, 5, 'error', null, 'expected ‘;’ before ‘}’ token'],
    ],
    ['gcc, a missing header', 'a.c:1:10: fatal error: no.h: No such file', ['a.c', 1, 10, 'error', null, 'no.h: No such file']],
    [
      'gcc, a warning',
      "a.c:1:5: warning: unused variable 'x' [-Wunused]",
      ['a.c', 1, 5, 'warning', null, "unused variable 'x' [-Wunused]"],
    ],
    ['go build', '# example.com/x\n./main.go:4:2: undefined: y\n', ['main.go', 4, 2, 'error', null, 'undefined: y']],
    ['go vet', 'vet: ./main.go:4:2: undeclared name: y', ['main.go', 4, 2, 'error', null, 'undeclared name: y']],
    ['tsc', 'src/a.ts(2,14): error TS2322: Type x', ['src/a.ts', 2, 14, 'error', 'TS2322', 'Type x']],
    ['tsc, pretty', 'src/a.ts:2:14 - error TS2322: Type x', ['src/a.ts', 2, 14, 'error', 'TS2322', 'Type x']],
    [
      'eslint',
      '\n/session/code/src/a.js\n  1:7  warning  x is never used  no-unused-vars\n\n✖ 1 problem (0 errors, 1 warning)\n',
      ['src/a.js', 1, 7, 'warning', 'no-unused-vars', 'x is never used'],
    ],
    [
      'rustc',
      'error[E0308]: mismatched types\n --> src/lib.rs:2:5\n  |\n',
      ['src/lib.rs', 2, 5, 'error', 'E0308', 'mismatched types'],
    ],
    [
      'compileall',
      '*** Error compiling \'a.py\'...\n  File "a.py", line 1\n    def (\n        ^\nSyntaxError: invalid syntax\n\n',
      ['a.py', 1, null, 'error', 'SyntaxError', 'invalid syntax'],
    ],
    [
      'pytest, what it could not load',
      "importlib/__init__.py:126: in import_module\n    return x\ntest_a.py:1: in <module>\n    import nothere\nE   ModuleNotFoundError: No module named 'nothere'\n",
      ['test_a.py', 1, null, 'error', 'ModuleNotFoundError', "No module named 'nothere'"],
    ],
    [
      'pytest, what has no syntax',
      'test_a.py:1: in <module>\n    import b\nE     File "/session/code/b.py", line 3\nE       def (\nE   SyntaxError: invalid syntax\n',
      ['b.py', 3, null, 'error', 'SyntaxError', 'invalid syntax'],
    ],
    ['maven', "[ERROR] /session/code/src/A.java:[3,12] ';' expected", ['src/A.java', 3, 12, 'error', null, "';' expected"]],
    [
      'node --check',
      "file:///session/code/sum.js:1\nexport function sum(a, b {\n                         ^\n\nSyntaxError: Unexpected token '{'\n    at compile (node:internal:1:1)\n",
      ['sum.js', 1, null, 'error', 'SyntaxError', "Unexpected token '{'"],
    ],
    [
      'rustfmt',
      'Diff in /session/code/src/main.rs at line 1:\n-fn main(){}\n',
      ['src/main.rs', 1, null, 'error', 'rustfmt', 'is not formatted as rustfmt would'],
    ],
  ])('reads %s', (_, output, wanted) => {
    expect(one(output)).toEqual(wanted)
  })

  it.each([
    'all is well',
    '12:30:05: started',
    'http://localhost:8080:1: x',
    'Error: something',
    'error: could not compile `demo` due to previous error',
    '  3:5  error  without a file',
    `${'x'.repeat(3000)}.c:1:1: error: long`,
    'a.c:99999999999999999999999',
  ])('takes %j for nothing', (output) => {
    expect(parseDiagnostics(output)).toEqual([])
  })

  it('takes each once, at most 200, and no line that is no number', () => {
    expect(parseDiagnostics('a.c:1:1: error: x\n'.repeat(3))).toHaveLength(1)
    expect(parseDiagnostics(Array.from({ length: 500 }, (_, n) => `a.c:${n}:1: error: x`).join('\n'))).toHaveLength(200)
    expect(one('a.c:99999999999999999999999:1: error: x')).toEqual(['a.c', null, 1, 'error', null, 'x'])
    expect(one(`a.c:1:1: error: ${'m'.repeat(1500)}`)?.[5]).toHaveLength(500)
  })

  it('is not held up by what a program prints to hold it up', () => {
    for (const piece of [
      'a',
      '1',
      ' ',
      ':',
      '1:',
      '(',
      'a.c:1:',
      '  1:1  error  ',
      '%',
      'error',
      'Diff in x at line ',
      '=',
      '\t',
    ])
      for (const text of [
        piece.repeat(400_000),
        `${piece.repeat(40)}\n`.repeat(5000),
        `TOTAL ${piece.repeat(200_000)}`,
        `  File "${piece.repeat(900)}"`,
      ]) {
        parseDiagnostics(text)
        coveragePercent(text)
      }
  })
})

describe('coveragePercent', () => {
  it.each<[string, number | null]>([
    ['total:\t\t\t(statements)\t66.7%\n', 66.7],
    ['All files |   87.5 |   80 |', 87.5],
    ['# all files | 91.30 | 50.00 | 100.00 |', 91.3],
    ['ℹ all files | 91.30 | 50.00 | 100.00 |', 91.3],
    ['TOTAL      10      2    80%\n', 80],
    ['TOTAL 10 2 80%\nTOTAL 10 1 90%\n', 90],
    ['TOTAL 10 2 180%\n', null],
    ['coverage: 100%', null],
    ['', null],
  ])('%j is %s', (output, percent) => {
    expect(coveragePercent(output)).toBe(percent)
  })
})
