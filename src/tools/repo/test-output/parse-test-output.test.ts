import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { goTextOfJson } from './go-test.ts'
import { parseTestOutput } from './parse-test-output.ts'
import { stripAnsi } from './test-summary.ts'

/** Recorded from real runs of small projects with passing, failing, skipped, crashing and unloadable tests. */
const recorded: [string, ReturnType<typeof parseTestOutput>][] = [
  [
    'node-spec',
    {
      runner: 'node:test',
      passed: 2,
      failed: 3,
      skipped: 2,
      failed_tests: ['test/crash.test.js', 'test/sum.test.js > subtracts # wrongly', 'test/sum.test.js > splits'],
    },
  ],
  [
    'node-tap',
    {
      runner: 'tap',
      passed: 2,
      failed: 3,
      skipped: 2,
      failed_tests: ['test/crash.test.js', 'test/sum.test.js > subtracts # wrongly', 'test/sum.test.js > splits'],
    },
  ],
  [
    'node20-tap',
    {
      runner: 'tap',
      passed: 2,
      failed: 3,
      skipped: 2,
      failed_tests: ['test/crash.test.js', 'test/sum.test.js > subtracts # wrongly', 'test/sum.test.js > splits'],
    },
  ],
  [
    'vitest',
    {
      runner: 'vitest',
      passed: 2,
      failed: 2,
      skipped: 2,
      failed_tests: ['src/broken.test.ts', 'src/sum.test.ts > strings > splits > hard'],
    },
  ],
  ['vitest-pass', { runner: 'vitest', passed: 3, failed: 0, skipped: 2, failed_tests: [] }],
  [
    'jest',
    { runner: 'jest', passed: 2, failed: 2, skipped: 2, failed_tests: ['sum.test.js > strings > splits', 'broken.test.js'] },
  ],
  ['mocha', { runner: 'mocha', passed: 2, failed: 2, skipped: 1, failed_tests: ['strings > splits', 'strings > deep > fails'] }],
  [
    'pytest',
    {
      runner: 'pytest',
      passed: 3,
      failed: 4,
      skipped: 2,
      failed_tests: [
        'test_sum.py::test_subtracts',
        'test_sum.py::test_many[2]',
        'test_sum.py::TestStrings::test_splits',
        'test_sum.py::test_with_fixture',
      ],
    },
  ],
  [
    'pytest-q',
    {
      runner: 'pytest',
      passed: 3,
      failed: 4,
      skipped: 2,
      failed_tests: [
        'test_sum.py::test_subtracts',
        'test_sum.py::test_many[2]',
        'test_sum.py::TestStrings::test_splits',
        'test_sum.py::test_with_fixture',
      ],
    },
  ],
  ['pytest-collect', { runner: 'pytest', passed: 0, failed: 1, skipped: 0, failed_tests: ['test_broken.py'], none_ran: true }],
  [
    'unittest',
    {
      runner: 'unittest',
      passed: 1,
      failed: 4,
      skipped: 2,
      failed_tests: [
        'test_broken',
        'test_sum.TestStrings.test_error',
        'test_sum.TestStrings.test_splits',
        'test_sum.TestStrings.test_sub',
      ],
    },
  ],
  [
    'go',
    {
      runner: 'go test',
      passed: null,
      failed: 3,
      skipped: 0,
      failed_tests: ['example.com/demo.TestTable', 'example.com/demo.TestTable/two', 'example.com/demo/bad [build failed]'],
    },
  ],
  [
    'go-v',
    {
      runner: 'go test',
      passed: 3,
      failed: 3,
      skipped: 1,
      failed_tests: ['example.com/demo.TestTable', 'example.com/demo.TestTable/two', 'example.com/demo/bad [build failed]'],
    },
  ],
  [
    'go-json',
    {
      runner: 'go test',
      passed: 3,
      failed: 3,
      skipped: 1,
      failed_tests: ['example.com/demo.TestTable/two', 'example.com/demo.TestTable', 'example.com/demo/bad [build failed]'],
    },
  ],
  ['go-pass', { runner: 'go test', passed: null, failed: 0, skipped: 0, failed_tests: [] }],
  ['cargo-all', { runner: 'cargo test', passed: 3, failed: 2, skipped: 1, failed_tests: ['tests::subtracts', 'fails'] }],
  [
    'surefire',
    {
      runner: 'surefire',
      passed: 2,
      failed: 2,
      skipped: 1,
      failed_tests: ['demo.SumTest.subtracts', 'demo.SumTest.crashes'],
    },
  ],
  ['ctest', { runner: 'ctest', passed: 1, failed: 3, skipped: 1, failed_tests: ['subtracts', 'crashes', 'missing'] }],
]

const read = (name: string) => readFileSync(new URL(`fixtures/${name}.txt`, import.meta.url), 'utf8')

describe('parseTestOutput', () => {
  it.each(recorded)('reads %s', (name, summary) => {
    expect(parseTestOutput(read(name))).toEqual(summary)
  })

  it.each([
    [
      'go without -v',
      'FAIL\ta [build failed]\n?   \tb\t[no test files]\nFAIL\n',
      'FAIL\ta [build failed]\nok  \tb\t0.1s\nFAIL\n',
    ],
    [
      'go of 1.24',
      '{"Action":"build-output","ImportPath":"a","Output":"a.go:1:1: no\\n"}\n{"Action":"start","Package":"a"}\n{"Action":"output","Package":"a","Output":"FAIL\\ta [build failed]\\n"}\n{"Action":"fail","Package":"a","FailedBuild":"a"}\n',
      '{"Action":"output","Package":"a","Output":"FAIL\\ta\\t0.1s\\n"}\n{"Action":"fail","Package":"a"}\n',
    ],
    [
      'pytest',
      '= short test summary info =\nERROR test_a.py\n= 1 error in 0.04s =\n',
      '= short test summary info =\nERROR test_a.py::test_b - no\n= 1 error in 0.04s =\n',
    ],
    [
      'unittest',
      'ERROR: test_a (unittest.loader._FailedTest.test_a)\nRan 1 test in 0.1s\n\nFAILED (errors=1)\n',
      'ERROR: test_a (unittest.loader._FailedTest.test_a)\nRan 2 tests in 0.1s\n\nFAILED (errors=1)\n',
    ],
    [
      'vitest',
      '⎯⎯ Failed Suites 1 ⎯⎯\n\n FAIL  a.test.ts\n Test Files  1 failed (1)\n      Tests  no tests\n',
      '⎯⎯ Failed Suites 1 ⎯⎯\n\n FAIL  a.test.ts\n Test Files  1 failed (1)\n      Tests  1 passed (1)\n',
    ],
    [
      'jest',
      'FAIL a.test.js\n  ● Test suite failed to run\n\nTests:       0 total\n',
      'FAIL a.test.js\n  ● Test suite failed to run\n\nTests:       1 passed, 1 total\n',
    ],
  ])('tells no test at all from tests that fail: %s', (_, none, some) => {
    expect(parseTestOutput(none)).toMatchObject({ failed: 1, none_ran: true })
    expect(parseTestOutput(some)).toMatchObject({ failed: 1 })
    expect(parseTestOutput(some)).not.toHaveProperty('none_ran')
  })

  it('reads unittest as older Pythons print it', () => {
    const output = 'F.\n======\nFAIL: test_a (test_x.TestX)\n------\nTraceback\n\nRan 2 tests in 0.001s\n\nFAILED (failures=1)\n'
    expect(parseTestOutput(output)).toEqual({
      runner: 'unittest',
      passed: 1,
      failed: 1,
      skipped: 0,
      failed_tests: ['test_x.TestX.test_a'],
    })
  })

  it('reads newer and older surefire, and gradle', () => {
    const newer =
      '[ERROR] demo.AppTest.testNo -- Time elapsed: 0.01 s <<< FAILURE!\n[ERROR] Tests run: 3, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.1 s <<< FAILURE! -- in demo.AppTest\n[ERROR] Tests run: 3, Failures: 1, Errors: 0, Skipped: 0\n'
    expect(parseTestOutput(newer)).toMatchObject({ passed: 2, failed: 1, skipped: 0, failed_tests: ['demo.AppTest.testNo'] })
    const surefire =
      'testNo(demo.AppTest)  Time elapsed: 0.01 sec  <<< FAILURE!\n\nTests run: 3, Failures: 1, Errors: 0, Skipped: 1, Time elapsed: 0.1 s\n\nTests run: 3, Failures: 1, Errors: 0, Skipped: 1\n'
    expect(parseTestOutput(surefire)).toMatchObject({ passed: 1, failed: 1, skipped: 1, failed_tests: ['demo.AppTest.testNo'] })
    const gradle =
      'AppTest > testNo FAILED\n    java.lang.AssertionError at AppTest.java:5\n\n4 tests completed, 1 failed, 1 skipped\n'
    expect(parseTestOutput(gradle)).toMatchObject({ passed: 2, failed: 1, skipped: 1, failed_tests: ['AppTest.testNo'] })
  })

  it.each(['', 'all good\n', '> demo@1.0.0 test\n> true\n', 'FAIL', '{"a":1}\n', 'Tests: none', '# pass 3'])(
    'knows nothing of %j',
    (output) => {
      expect(parseTestOutput(output)).toBeNull()
    },
  )

  it('adds the runs of several packages up', () => {
    const one = read('node-spec')
    expect(parseTestOutput(one + one)).toMatchObject({ passed: 4, failed: 6 })
  })

  it('is not slow on hostile output', () => {
    for (const part of [
      '=',
      ' ',
      'FAIL ',
      '  1) a\n',
      '1 a, ',
      '✖ failing tests:\n',
      'failures:\n    a\n',
      'not ok 1\n  ---\n',
      '\x1b]',
    ])
      parseTestOutput(stripAnsi(part.repeat(100_000)))
  })
})

describe('goTextOfJson', () => {
  it('is what go test -v prints', () => {
    const lines = (text: string) =>
      text
        .replace(/\d+\.\d+s|\(cached\)/g, 'T')
        .split('\n')
        .filter((line) => line !== 'FAIL')
        .sort()
    expect(lines(goTextOfJson(read('go-json')))).toEqual(lines(read('go-v')))
  })
})

describe('stripAnsi', () => {
  it.each([
    ['\x1b[31mred\x1b[0m', 'red'],
    ['\x1b[1;38;5;196mred\x1b[39m', 'red'],
    ['\x1b]8;;http://x\x07link\x1b]8;;\x07', 'link'],
    ['10%\r20%\rdone\n', 'done\n'],
    ['a\r\nb\r\n', 'a\nb\n'],
  ])('%j', (given, wanted) => {
    expect(stripAnsi(given)).toBe(wanted)
  })
})

it.each([
  ['TAP version 13\n# tests 3\n', 'not ok 1\n  ---\n', 1024 * 1024],
  ['', '{"Action":"fail","Package":"p%"}\n{"Action":"fail","Package":"q","Test":"t%"}\n', 1024 * 1024],
])('is not held up by a million characters of %j%j', (head, part, length) => {
  let output = head
  for (let n = 0; output.length < length; n++) output += part.replaceAll('%', String(n))
  expect(parseTestOutput(output)).not.toBeNull()
})
