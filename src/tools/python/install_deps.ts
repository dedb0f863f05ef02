import { z } from 'zod'
import { defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { VENV, VENV_PYTHON } from '../repo/toolchains/python.ts'
import { prepareDirectory } from '../repo/toolchains/toolchain.ts'
import { note } from '../toolchain/parse-diagnostics.ts'
import { nothingToRun, runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { pathTargetArgument, requireTarget } from '../toolchain/toolchain-target.ts'

const DEFAULT_REQUIREMENTS = 'requirements.txt'
const ARTIFACT = 'install-output.txt'

export default defineTool({
  name: 'python.install_deps',
  description: `Installs the requirements of a Python project with pip into the virtual environment .workspace-venv, which is made when it is
not there and sees the system's packages too; python.test and repo.run_tests use it from then on. Without a requirements file nothing
is done, the call succeeds and a diagnostic says so. In a session without network only packages can be installed that lie in the
workspace (--find-links, paths). It never installs into the system.`,
  input: z.object({
    use_venv: z.boolean().default(true).describe('Must be true: there is no other place to install to.'),
    requirements_file: pathTargetArgument('What to install. Default: requirements.txt, if there is one.').optional(),
    constraints_file: pathTargetArgument('Versions to keep to (pip --constraint).').optional(),
  }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 300,
  policy: {
    paths: [
      { field: 'requirements_file', access: 'read' },
      { field: 'constraints_file', access: 'read' },
    ],
    whole_repository: true,
  },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [
    { title: 'What requirements.txt says', args: {} },
    { title: 'For development', args: { requirements_file: 'requirements-dev.txt' } },
  ],
  async handler({ use_venv, requirements_file, constraints_file }, context) {
    const { sandbox } = context
    if (!use_venv)
      throw new ToolError('invalid_argument', `use_venv must be true: packages are only installed into ${VENV}, never the system`)
    const requirements = requirements_file ?? DEFAULT_REQUIREMENTS
    if (requirements_file === undefined && !(await sandbox.stat(requirements)))
      return nothingToRun(ARTIFACT, [note('no requirements file found')])
    await requireFile(requirements, context)
    if (constraints_file !== undefined) await requireFile(constraints_file, context)
    const constraints = constraints_file === undefined ? [] : ['--constraint', constraints_file]
    return await runToolchain(
      {
        commands: [
          ...(await venv(context)),
          [VENV_PYTHON, '-m', 'pip', 'install', '--requirement', requirements, ...constraints],
        ],
        env: {
          PIP_NO_INPUT: '1',
          PIP_DISABLE_PIP_VERSION_CHECK: '1',
          PIP_RETRIES: '1',
          ...(context.session.network === 'none' && { PIP_NO_INDEX: '1' }),
        },
        artifact: ARTIFACT,
      },
      context,
    )
  },
})

async function requireFile(path: string, { sandbox }: ToolContext): Promise<void> {
  if ((await requireTarget(sandbox, path)) !== 'file') throw new ToolError('invalid_argument', `${path} is a directory`)
}

/** The commands that make the environment, if it is not there. @throws ToolError execution_failed if something else is */
async function venv(context: ToolContext): Promise<string[][]> {
  const entry = await context.sandbox.stat(VENV)
  if (entry && entry.type !== 'dir')
    throw new ToolError('execution_failed', `${VENV} is there and is not a directory: remove it first`)
  if (entry && (await context.sandbox.stat(VENV_PYTHON))) return []
  await prepareDirectory(context, VENV)
  return [['python3', '-m', 'venv', '--system-site-packages', VENV]]
}
