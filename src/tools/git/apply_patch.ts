import { z } from 'zod'
import { defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { errors, ToolError } from '../../domain/errors.ts'
import { type PatchFile, parsePatch } from '../../domain/patch-paths.ts'
import { inGitDirectory } from '../../domain/path.ts'
import { isAllowed } from '../workspace-path.ts'
import { openRepository, type Repository } from './git-command.ts'

/** Without a file, git apply reads its standard input. */
const APPLY = ['apply', '-p1', '--whitespace=nowarn']

export default defineTool({
  name: 'git.apply_patch',
  description: `Applies a unified diff to the working tree (not to the index): whole, or not at all. Write it as "git diff" does: "--- a/x"
and "+++ b/x" before the hunks, counts in "@@ -line,count +line,count @@" that are right, three lines of context; new and deleted files,
renames and mode changes need "diff --git a/x b/x" with their header lines. With check it is only tried. It refuses paths outside the
session's, anything in .git, and symbolic links. Use fs.edit for a small change in one file.`,
  input: z.object({
    patch: z
      .string()
      .min(1)
      .max(1048576)
      .superRefine((patch, { addIssue }) => {
        const parsed = parsePatch(patch)
        if ('error' in parsed) addIssue(parsed.error)
      })
      .describe('The unified diff.'),
    check: z.boolean().default(false).describe('Only check whether it applies; nothing is written.'),
  }),
  output: z.object({
    applied: z.boolean().describe('false when it was only checked.'),
    output: z.string().describe('What git said.'),
    changed_paths: z.array(z.string()).describe('Every path that the patch names, sorted.'),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 45,
  policy: { patches: ['patch'] },
  primary_output: 'output',
  examples: [
    {
      title: 'Mend one line',
      args: {
        patch:
          '--- a/src/sum.ts\n+++ b/src/sum.ts\n@@ -1 +1 @@\n-export const sum = (a, b) => a - b\n+export const sum = (a, b) => a + b\n',
      },
    },
  ],
  async handler({ patch, check }, context) {
    // A model often leaves the last line end off, and git calls such a patch corrupt.
    const text = patch.endsWith('\n') ? patch : `${patch}\n`
    const changed = checkedPaths(text, context.session.allowed_paths)
    const repository = await openRepository(context)
    await agreeWithGit(repository, text, changed)
    await refuseLinks(text, context)
    const checked = await apply(repository, [...APPLY, '--check'], text)
    const done = check ? checked : await apply(repository, APPLY, text)
    return {
      output: { applied: !check, output: `${done.stdout}${done.stderr}`, changed_paths: changed, command: done.command },
      exit_code: done.exit_code,
    }
  },
})

function files(patch: string): PatchFile[] {
  const parsed = parsePatch(patch)
  if ('error' in parsed) throw new ToolError('invalid_argument', parsed.error)
  return parsed.files
}

/** Policy has checked the same before; a tool does not rely on being called through it. */
function checkedPaths(patch: string, allowedPaths: string[]): string[] {
  const named = files(patch)
  for (const file of named) {
    if (file.modes.some((mode) => mode !== 0o100644 && mode !== 0o100755)) {
      const path = file.new_path ?? file.old_path
      throw new ToolError(
        'invalid_argument',
        `${path}: a patch may leave behind files of mode 100644 or 100755 only, no links or submodules`,
      )
    }
  }
  const paths = [...new Set(named.flatMap((file) => [file.old_path, file.new_path]).filter((path) => path !== null))].sort()
  for (const path of paths) {
    if (inGitDirectory(path)) throw errors.policyDenied('git_directory', `${path} belongs to git: nothing is written under .git`)
    if (!isAllowed(path, allowedPaths))
      throw errors.policyDenied('path_scope', `the patch names ${path}, which is not among the paths that this session may use`)
  }
  return paths
}

/** If git reads a path in the patch that our parser did not see, the checks above meant nothing. */
async function agreeWithGit(repository: Repository, patch: string, known: string[]): Promise<void> {
  const result = await repository.run([...APPLY, '--numstat', '-z'], { stdin: patch, accept: [0, 1, 128] })
  if (result.exit_code !== 0)
    throw new ToolError('invalid_argument', `git cannot read the patch: ${result.stderr.trim().slice(0, 2000)}`)
  const unseen = result.stdout
    .split('\0')
    .map((entry) => entry.split('\t').slice(2).join('\t'))
    .filter((path) => path !== '' && !known.includes(path))
  if (unseen.length > 0)
    throw new ToolError('invalid_argument', `the patch is ambiguous about ${unseen.join(', ')}: write it as "git diff" does`)
}

/** A patch without mode lines could still change where an existing link leads. */
async function refuseLinks(patch: string, { sandbox }: ToolContext): Promise<void> {
  for (const file of files(patch)) {
    if (file.old_path === null || file.new_path === null) continue
    const entry = await sandbox.stat(file.old_path)
    if (entry?.type === 'symlink')
      throw new ToolError('invalid_argument', `${file.old_path} is a symbolic link: a patch must not change links`)
  }
}

async function apply(repository: Repository, args: string[], patch: string) {
  const result = await repository.run(args, { stdin: patch, accept: [0, 1] })
  if (result.exit_code === 0) return result
  const said = result.stderr.trim().slice(0, 4000)
  throw new ToolError('execution_failed', `the patch does not apply, and nothing was changed. Read the files again. ${said}`, {
    output: { applied: false, output: said, changed_paths: [], command: result.command },
    exitCode: result.exit_code,
  })
}
