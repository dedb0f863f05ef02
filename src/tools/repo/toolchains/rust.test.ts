import { expect, it } from 'vitest'
import { rustCoverage } from './rust.ts'

it.each<[string, number | null]>([
  [
    'Filename   Regions  Missed  Cover  Functions  Missed  Executed  Lines  Missed  Cover\nlib.rs 1 0 100.00% 2 1 50.00% 8 2 75.00%\nTOTAL 10 4 60.00% 2 1 50.00% 8 2 75.00% 0 0 -\n',
    75,
  ],
  ['|| src/lib.rs: 12/14\n85.71% coverage, 12/14 lines covered\n', 85.71],
  ['running 3 tests\n', null],
  ['TOTAL\n', null],
  ['', null],
])('reads the lines covered from %j', (output, wanted) => {
  expect(rustCoverage(output)).toBe(wanted)
})
