import { describeAttacks } from './attack-cases.ts'
import { startedAsRoot } from './bubblewrap.fixture.ts'

describeAttacks(`bubblewrap, as ${startedAsRoot ? 'root' : 'an ordinary user'}`)
