import { expect, it } from 'vitest'
import { parseStackTraces } from './parse-stack-traces.ts'

const all = (output: string) => parseStackTraces(output, { traces: 50, frames: 80 }).traces

it.each<[string, string, string, string, string[]]>([
  [
    'a panic of Go',
    'panic: boom [recovered]\n\tpanic: boom\n\ngoroutine 7 [running]:\nmain.crash(0x1, {0x2, 0x3})\n\t/app/main.go:12 +0x1d\ncreated by main.(*T).run in goroutine 1\n\t/app/main.go:5\n\nrest\n',
    'panic',
    'boom',
    ['main.crash (/app/main.go:12)', 'main.(*T).run (/app/main.go:5)'],
  ],
  [
    'a fatal error of Go',
    'fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/app/main.go:5 +0x1d\n',
    'fatal_error',
    'all goroutines are asleep - deadlock!',
    ['main.main (/app/main.go:5)'],
  ],
  [
    'a traceback of Python',
    'x\nTraceback (most recent call last):\n  File "a.py", line 3, in <module>\n    f()\n    ^^^\n  File "a.py", line 1, in f\n    1 / 0\nZeroDivisionError: division by zero\n',
    'python_traceback',
    'ZeroDivisionError: division by zero',
    ['<module> (a.py:3)', 'f (a.py:1)'],
  ],
  [
    'an exception of Java',
    'Exception in thread "main" java.lang.IllegalStateException: no\n\tat demo.Main.run(Main.java:7)\n\tat demo.Main.main(Main.java:3)\n\t... 2 more\n',
    'java_exception',
    'java.lang.IllegalStateException: no',
    ['demo.Main.run(Main.java:7)', 'demo.Main.main(Main.java:3)'],
  ],
  [
    'a panic of Rust before 1.73',
    "thread 'main' panicked at 'no: 1', src/main.rs:2:5\nnote: run with RUST_BACKTRACE=1\n",
    'rust_panic',
    'no: 1',
    ['main (src/main.rs:2:5)'],
  ],
  [
    'a panic of Rust',
    "thread 'tests::a' (12) panicked at src/lib.rs:2:5:\nassertion failed\nstack backtrace:\n   0: std::panicking\n             at /rustc/x.rs:1:2\n   1: demo::a\nnote: some\n",
    'rust_panic',
    'assertion failed',
    ['tests::a (src/lib.rs:2:5)', 'std::panicking (/rustc/x.rs:1:2)', 'demo::a'],
  ],
  [
    'an error of JavaScript',
    '/x/a.js:1\nthrow new Error("a")\n^\n\nError: a\n    at f (/x/a.js:1:7)\n    at node:internal/x:1:1\n',
    'stack_trace',
    'Error: a',
    ['f (/x/a.js:1:7)', 'node:internal/x:1:1'],
  ],
])('reads %s', (_, output, type, message, frames) => {
  expect(all(output)).toEqual([{ type, message, frames, frame_count: frames.length }])
})

it('reads each of several, causes too', () => {
  const java = 'a.BException: x\n\tat a.b(C.java:1)\nCaused by: a.DException: y\n\tat a.d(C.java:2)\n'
  expect(all(java).map((trace) => trace.message)).toEqual(['a.BException: x', 'a.DException: y'])
})

it.each(['', 'meet me at noon', 'panic', 'Traceback', "thread 'x'", 'look at\nthis'])('takes %j for nothing', (output) => {
  expect(all(output)).toEqual([])
})

it.each([
  '    at x\n',
  'panic: x\n',
  'panic: x\ngoroutine 1 [running]:\n',
  'Traceback (most recent call last):\n',
  'E   x\n',
  "thread 'a' panicked at x\n",
  '(',
])('is not held up by a million characters of %j', (part) => {
  const output = part.repeat((1024 * 1024) / part.length)
  expect(parseStackTraces(output, { traces: 1, frames: 1 }).traces.length).toBeLessThanOrEqual(1)
})
