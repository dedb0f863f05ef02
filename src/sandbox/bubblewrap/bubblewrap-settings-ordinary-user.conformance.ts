import { describe } from 'vitest'
import { becomeOrdinaryUser, startedAsRoot } from './bubblewrap.fixture.ts'
import { describeSettings } from './settings-cases.ts'

becomeOrdinaryUser()

// Skipped when an ordinary user runs the tests: bubblewrap-settings.conformance.ts has done it.
describe.runIf(startedAsRoot)('for a server that is not root', () => {
  describeSettings('bubblewrap, as an ordinary user')
})
