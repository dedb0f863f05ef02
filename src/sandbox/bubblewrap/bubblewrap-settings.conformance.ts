import { startedAsRoot } from './bubblewrap.fixture.ts'
import { describeSettings } from './settings-cases.ts'

describeSettings(`bubblewrap, as ${startedAsRoot ? 'root' : 'an ordinary user'}`)
