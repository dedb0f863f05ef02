import { z } from 'zod'
import { defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { BUILD, prepareDirectory } from '../repo/toolchains/toolchain.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { requireAtRoot } from '../toolchain/toolchain-target.ts'

/** A copy to tidy, so that a check leaves the module's own files alone. Go finds the sums beside it, under the same name. */
const COPY = { mod: `${BUILD}/tidy.mod`, sum: `${BUILD}/tidy.sum` }
const MOST_BYTES = 4 * 1024 * 1024

export default defineTool({
  name: 'go.mod.tidy',
  description: `Brings go.mod and go.sum of a Go module in line with what its sources import (go mod tidy). With check true nothing is changed: if they
are not tidy, the difference is shown and the call ends with execution_failed. Modules that are not in the cache have to be fetched,
which a session without network cannot; it upgrades nothing that is there.`,
  input: z.object({ check: z.boolean().default(false).describe('true: only say whether they are tidy.') }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  policy: { whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'execution_failed'],
  examples: [{ title: 'Is it tidy?', args: { check: true } }],
  async handler({ check }, context) {
    await requireAtRoot(context.sandbox, 'go.mod')
    const artifact = 'tidy-output.txt'
    if (!check) return await runToolchain({ commands: [['go', 'mod', 'tidy']], artifact }, context)
    await prepareDirectory(context, BUILD)
    await copy('go.mod', COPY.mod, context)
    await copy('go.sum', COPY.sum, context)
    return await runToolchain(
      {
        commands: [
          ['go', 'mod', 'tidy', `-modfile=${COPY.mod}`],
          ['diff', '--unified', '--new-file', '--label=go.mod', '--label=go.mod', 'go.mod', COPY.mod],
          ['diff', '--unified', '--new-file', '--label=go.sum', '--label=go.sum', 'go.sum', COPY.sum],
        ],
        artifact,
      },
      context,
    )
  },
})

/** By host, so that a link leads nowhere. A file that is not there is as good as an empty one. */
async function copy(from: string, to: string, { sandbox }: ToolContext): Promise<void> {
  const there = await sandbox.stat(from)
  const { content, size_bytes } = there
    ? await sandbox.read(from, { max_bytes: MOST_BYTES })
    : { content: Buffer.alloc(0), size_bytes: 0 }
  if (size_bytes > MOST_BYTES) throw new ToolError('execution_failed', `${from} is larger than 4 MiB`)
  await sandbox.write(to, content)
}
