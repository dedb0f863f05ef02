import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { requireAtRoot } from '../toolchain/toolchain-target.ts'

export default defineTool({
  name: 'node.install',
  description: `Installs the dependencies of a Node project into node_modules at the root of the workspace: npm ci, which takes exactly what
package-lock.json says and changes no tracked file, or npm install with use_ci false, which may change package-lock.json. Scripts of the
packages are not run unless ignore_scripts is false. Packages come from the configured registry, so that a session without network
can only install what lies in the workspace or in npm's cache. It adds no new dependency.`,
  input: z.object({
    use_ci: z.boolean().default(true).describe('true: npm ci, which needs a lockfile. false: npm install.'),
    ignore_scripts: z.boolean().default(true).describe('false: packages may run their install scripts in the sandbox.'),
  }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 300,
  policy: { whole_repository: true },
  primary_output: 'output',
  errors: ['execution_failed'],
  examples: [
    { title: 'As the lockfile says', args: {} },
    { title: 'Without a lockfile', args: { use_ci: false } },
  ],
  async handler({ use_ci, ignore_scripts }, context) {
    const { sandbox } = context
    await requireAtRoot(sandbox, 'package.json')
    const locked = (await sandbox.stat('package-lock.json')) ?? (await sandbox.stat('npm-shrinkwrap.json'))
    if (use_ci && !locked)
      throw new ToolError('execution_failed', 'npm ci needs a package-lock.json, and there is none: set use_ci to false')
    // Said explicitly in both cases: an .npmrc of the repository does not decide about it.
    const command = ['npm', use_ci ? 'ci' : 'install', `--ignore-scripts=${ignore_scripts}`]
    return await runToolchain({ commands: [command], artifact: 'install-output.txt' }, context)
  },
})
