import { ToolError } from '../../../domain/errors.ts'
import { KNOWN_MARKERS, type Project, type ProjectType } from '../detect-project.ts'
import { cToolchain } from './c.ts'
import { goToolchain } from './go.ts'
import { javaToolchain } from './java.ts'
import { nodeToolchain } from './node.ts'
import { pythonToolchain } from './python.ts'
import { rustToolchain } from './rust.ts'
import type { Toolchain } from './toolchain.ts'

const TOOLCHAINS: Record<Exclude<ProjectType, 'unknown'>, Toolchain> = {
  go: goToolchain,
  rust: rustToolchain,
  node: nodeToolchain,
  python: pythonToolchain,
  java: javaToolchain,
  c: cToolchain,
}

/** @throws ToolError execution_failed for a project of no known kind, with what would make it known */
export function toolchainOf(project: Project): Toolchain {
  if (project.type === 'unknown')
    throw new ToolError(
      'execution_failed',
      `no known kind of project: none of ${KNOWN_MARKERS} was found at the root of the workspace`,
    )
  return TOOLCHAINS[project.type]
}
