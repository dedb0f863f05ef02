import { z } from 'zod'
import { pathArgument } from '../workspace-path.ts'

export function inventoryPath() {
  return pathArgument('The directory with the lockfiles.').default('.')
}

export function mostDependencies() {
  return z.int().min(1).max(5000).default(500).describe('At most this many dependencies are looked at.')
}

export const LOCKFILES =
  'package-lock.json, pnpm-lock.yaml or yarn.lock, poetry.lock, uv.lock, requirements*.txt, go.mod (and go.sum), Cargo.lock, pom.xml'
