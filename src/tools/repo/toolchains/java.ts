import { ToolError } from '../../../domain/errors.ts'
import type { PlanRequest, Toolchain } from './toolchain.ts'

/** For tests a target is a class, else a module (Maven) or project (Gradle). */
export const javaToolchain: Toolchain = {
  build_system: ({ flavor }) => flavor ?? 'maven',
  test_framework: () => 'junit',
  test: (request) => {
    const chosen = request.extra.find((option) => option.startsWith('-Dtest='))?.slice('-Dtest='.length) ?? request.target
    if (isMaven(request))
      return { commands: [[...maven(request), ...(chosen === undefined ? [] : [`-Dtest=${chosen}`]), 'test']] }
    return { commands: [[...gradle(request), 'test', ...(chosen === undefined ? [] : ['--tests', chosen])]] }
  },
  build: (request) => ({ commands: [command(request, ['compile'], ['classes'])] }),
  validate: (request) => ({ commands: [command(request, ['test-compile'], ['testClasses'])] }),
  analyse: (request) => ({
    commands: [
      command(
        request,
        ['-Dmaven.compiler.showWarnings=true', '-Dmaven.compiler.compilerArgument=-Xlint:all', 'test-compile'],
        ['check', '--exclude-task', 'test'],
      ),
    ],
  }),
  coverage: () => ({ unsupported: 'there is no coverage for Java: no plugin is assumed' }),
  package: (request) => ({
    commands: [command(request, ['-DskipTests', 'package'], ['assemble'])],
    findArtifact: async () => await newestArchive(request),
  }),
}

function isMaven({ project }: PlanRequest): boolean {
  return project.flavor === 'maven'
}

function command(request: PlanRequest, mavenGoals: string[], gradleTasks: string[]): string[] {
  const { target } = request
  if (isMaven(request)) return [...maven(request), ...(target === undefined ? [] : ['-pl', target]), ...mavenGoals]
  return [...gradle(request), ...(target === undefined ? [] : ['-p', target]), ...gradleTasks]
}

/** Downloads need a network, which most sessions do not have; offline the builder says at once what is missing. */
function maven({ project, extra, context }: PlanRequest): string[] {
  const program = project.root.has('mvnw') ? './mvnw' : 'mvn'
  return [program, '-B', ...(context.session.network === 'none' ? ['-o'] : []), ...(extra.includes('-q') ? ['-q'] : [])]
}

function gradle({ project, extra, context }: PlanRequest): string[] {
  const program = project.root.has('gradlew') ? './gradlew' : 'gradle'
  const offline = context.session.network === 'none' ? ['--offline'] : []
  return [program, '--console=plain', '--no-daemon', ...offline, ...(extra.includes('-q') ? ['-q'] : [])]
}

async function newestArchive(request: PlanRequest): Promise<string> {
  const below = isMaven(request) ? 'target' : 'build/libs'
  const directory = request.target === undefined ? below : `${request.target}/${below}`
  const { entries } = await request.context.sandbox.list(directory, { recursive: false, max_entries: 1000, skip_git: true })
  const archives = entries
    .map((entry) => entry.path.slice(entry.path.lastIndexOf('/') + 1))
    .filter((name) => /\.(?:jar|war|ear)$/.test(name) && !/-(?:sources|javadoc|plain)\.jar$/.test(name))
  if (archives[0] === undefined) throw new ToolError('execution_failed', `no jar, war or ear was made in ${directory}`)
  return `${directory}/${archives[0]}`
}
