import { ToolError } from '../../../domain/errors.ts'
import { findCSources, type Project } from '../detect-project.ts'
import { BUILD, DIST, type Plan, type PlanRequest, prepareDirectory, type Toolchain } from './toolchain.ts'

const MAKEFILES = ['GNUmakefile', 'makefile', 'Makefile']
const MOST_SOURCES = 500
const CC = ['cc', '-Wall', '-Wextra']

/** With CMake or make a target is one of theirs (for tests a part of a name), else a source file. */
export const cToolchain: Toolchain = {
  build_system: (project) => (project.flavor === 'cmake' ? 'cmake' : hasMakefile(project) ? 'make' : 'cc'),
  test_framework: (project) => (project.flavor === 'cmake' ? 'ctest' : hasMakefile(project) ? 'make-test' : 'native'),
  test: async ({ project, target, context }) => {
    const given = target === undefined ? [] : [target]
    if (project.flavor === 'cmake') {
      await prepareDirectory(context, BUILD)
      const filter = given.length > 0 ? ['-R', ...given] : []
      return {
        commands: [...cmake(), ['ctest', '--test-dir', BUILD, '--output-on-failure', '--no-tests=error', ...filter]],
      }
    }
    if (hasMakefile(project)) return { commands: [['make', ...(given.length > 0 ? given : ['test'])]] }
    throw new ToolError(
      'execution_failed',
      'a C project without CMakeLists.txt or Makefile at its root: there is no way to run its tests',
    )
  },
  build: async (request) => {
    if (request.project.flavor === 'cmake') return await cmakeBuild(request)
    if (hasMakefile(request.project)) return { commands: [['make', ...(request.target === undefined ? [] : [request.target])]] }
    return await compileProgram(request, BUILD)
  },
  // Only CMake knows what its sources need; its build directory is not the project's.
  validate: async (request) => (request.project.flavor === 'cmake' ? await cmakeBuild(request) : await checkSyntax(request)),
  analyse: checkSyntax,
  coverage: () => ({ unsupported: 'there is no coverage for C: no instrumentation is assumed' }),
  async package(request) {
    const { project, context } = request
    const installed = async () => {
      const { entries } = await context.sandbox.list(DIST, { recursive: true, max_entries: 100, skip_git: true })
      if (!entries.some((entry) => entry.type === 'file' && !entry.path.endsWith('/.gitignore')))
        throw new ToolError('execution_failed', 'nothing was installed: the project has no install rules')
      return DIST
    }
    if (project.flavor === 'cmake') {
      const { commands } = await cmakeBuild(request)
      await prepareDirectory(context, DIST)
      return { commands: [...commands, ['cmake', '--install', BUILD, '--prefix', DIST]], findArtifact: installed }
    }
    if (hasMakefile(project)) {
      await prepareDirectory(context, DIST)
      const here = (await context.sandbox.run(['pwd'], { without_secrets: true, quiet: true })).stdout.trim()
      const build = ['make', ...(request.target === undefined ? [] : [request.target])]
      return { commands: [build, ['make', 'install', `DESTDIR=${here}/${DIST}`]], findArtifact: installed }
    }
    return { ...(await compileProgram(request, DIST)), findArtifact: async () => `${DIST}/c-app` }
  },
}

export function hasMakefile(project: Project): boolean {
  return MAKEFILES.some((name) => project.root.has(name))
}

function cmake(): string[][] {
  return [
    ['cmake', '-S', '.', '-B', BUILD],
    ['cmake', '--build', BUILD],
  ]
}

async function cmakeBuild({ target, context }: PlanRequest): Promise<Plan> {
  await prepareDirectory(context, BUILD)
  const [configure, build] = cmake() as [string[], string[]]
  return { commands: [configure, [...build, ...(target === undefined ? [] : ['--target', target])]] }
}

async function checkSyntax(request: PlanRequest): Promise<Plan> {
  return { commands: [[...CC, '-fsyntax-only', ...includes(request.project), ...(await sources(request))]] }
}

/** All sources into one program: what a directory of C without a build file can mean. */
async function compileProgram(request: PlanRequest, directory: string): Promise<Plan> {
  const files = await sources(request)
  await prepareDirectory(request.context, directory)
  return { commands: [[...CC, '-o', `${directory}/c-app`, ...includes(request.project), ...files]] }
}

function includes(project: Project): string[] {
  return ['.', 'include', 'src'].filter((name) => name === '.' || project.root.has(name)).map((name) => `-I${name}`)
}

async function sources({ target, context }: PlanRequest): Promise<string[]> {
  // "./" so that no name is taken for an option.
  const relative = (path: string) => (path.startsWith('/') ? path : `./${path}`)
  if (target !== undefined) {
    if (!target.endsWith('.c'))
      throw new ToolError('invalid_argument', `target ${JSON.stringify(target)} is not a C source: name a .c file`)
    return [relative(target)]
  }
  const found = await findCSources(context.sandbox, MOST_SOURCES)
  if (found.length === 0)
    throw new ToolError('execution_failed', 'no C source within three levels of the root: name one by target')
  return found.map(relative)
}
