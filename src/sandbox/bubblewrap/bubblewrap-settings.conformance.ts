import { describeSettings } from './settings-cases.ts'
import { startedAsRoot } from './test-fixture.ts'

describeSettings(`bubblewrap, as ${startedAsRoot ? 'root' : 'an ordinary user'}`)
