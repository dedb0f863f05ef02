import { describeAttacks } from './attack-cases.ts'
import { startedAsRoot } from './test-fixture.ts'

describeAttacks(`bubblewrap, as ${startedAsRoot ? 'root' : 'an ordinary user'}`)
