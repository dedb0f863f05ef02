import { expect, it } from 'vitest'
import { sampleRequest } from '../request.sample.ts'
import { wholeRepository } from './whole-repository.ts'

it.each([
  { whole: true, allowed_paths: ['.'], refused: false },
  { whole: true, allowed_paths: ['./'], refused: false },
  { whole: true, allowed_paths: ['src/..'], refused: false },
  { whole: true, allowed_paths: ['/session/code'], refused: false },
  { whole: true, allowed_paths: ['src'], refused: true },
  { whole: true, allowed_paths: ['/session/data'], refused: true },
  { whole: true, allowed_paths: [], refused: true },
  { whole: true, allowed_paths: ['../..'], refused: true },
  { whole: false, allowed_paths: ['src'], refused: false },
])('whole repository $whole, allowed $allowed_paths: refused $refused', ({ whole, allowed_paths, refused }) => {
  const request = sampleRequest({ session: { allowed_paths }, tool: { policy: { whole_repository: whole } } })
  expect(wholeRepository.check(request) !== null).toBe(refused)
})
