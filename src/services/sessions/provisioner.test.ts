import { expect, it } from 'vitest'
import { sessionFile } from './provisioner.ts'

it('instructions lie beside the code, or out of the way of a repository', () => {
  expect(sessionFile({ repo_url: null, source_repo_path: null }, 'instructions.md')).toBe('/session/code/instructions.md')
  expect(sessionFile({ repo_url: 'https://github.com/x', source_repo_path: null }, 'setup.sh')).toBe(
    '/session/code/.cloister/setup.sh',
  )
})
