import { describe } from 'vitest'
import { describeSandbox } from '../conformance/describe-sandbox.ts'
import { becomeOrdinaryUser, makeBubblewrapFixture, startedAsRoot } from './bubblewrap.fixture.ts'

becomeOrdinaryUser()

// Skipped when an ordinary user runs the tests: bubblewrap.conformance.ts has done it.
describe.runIf(startedAsRoot)('for a server that is not root', () => {
  describeSandbox('bubblewrap, as an ordinary user', () => makeBubblewrapFixture())
})
