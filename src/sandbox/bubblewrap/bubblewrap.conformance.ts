import { describeSandbox } from '../conformance/describe-sandbox.ts'
import { makeBubblewrapFixture, startedAsRoot } from './bubblewrap.fixture.ts'

describeSandbox(`bubblewrap, as ${startedAsRoot ? 'root' : 'an ordinary user'}`, () => makeBubblewrapFixture())
