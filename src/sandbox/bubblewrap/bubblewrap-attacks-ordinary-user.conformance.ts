import { describe } from 'vitest'
import { describeAttacks } from './attack-cases.ts'
import { becomeOrdinaryUser, startedAsRoot } from './bubblewrap.fixture.ts'

becomeOrdinaryUser()

// Skipped when an ordinary user runs the tests: bubblewrap-attacks.conformance.ts has done it.
describe.runIf(startedAsRoot)('for a server that is not root', () => {
  describeAttacks('bubblewrap, as an ordinary user')
})
