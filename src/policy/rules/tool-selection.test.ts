import { expect, it } from 'vitest'
import { sampleRequest } from '../request.sample.ts'
import { toolSelection } from './tool-selection.ts'

it.each([
  { allow: [], deny: [], refused: false },
  { allow: ['*'], deny: [], refused: false },
  { allow: ['fs.*'], deny: [], refused: false },
  { allow: ['git.*'], deny: [], refused: true },
  { allow: ['fs'], deny: [], refused: true },
  { allow: ['fs.sample'], deny: ['fs.*'], refused: true },
  { allow: ['*'], deny: ['fs.sampl?'], refused: false },
  { allow: ['*'], deny: ['*.sample'], refused: true },
])('allow $allow, deny $deny: refused $refused', ({ allow, deny, refused }) => {
  expect(toolSelection.check(sampleRequest({ session: { tools: { allow, deny } } })) !== null).toBe(refused)
})
