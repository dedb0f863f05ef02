import type { StateContext } from '../../catalog/define-tool.ts'
import { openRepository } from './git-command.ts'
import { pathspecs } from './git-scope.ts'

/**
 * Hash of the tree that holds everything of the session's paths that is not ignored, as it is now; made with an index of its own. Files
 * become objects of the repository by it, as they would by a commit: nothing names them, and git lets go of them some day.
 * @throws ToolError git_repo_error when there is no repository
 */
export async function treeOfWorkspace(context: StateContext): Promise<string> {
  const repository = await openRepository(context)
  const run = (...argv: string[]) => context.sandbox.run(argv, { quiet: true, without_secrets: true })
  const folder = (await run('mktemp', '-d')).stdout.trim()
  try {
    const env = { GIT_INDEX_FILE: `${folder}/index` }
    // What the index knows need not be read again; by its own time git tells which files may have changed just after it was written.
    // A repository without one has none.
    await run('cp', '--preserve=timestamps', '.git/index', env.GIT_INDEX_FILE)
    await repository.run(['add', '--all', '--', ...pathspecs(context.session.allowed_paths)], { env })
    return (await repository.run(['write-tree'], { env })).stdout.trim()
  } finally {
    await run('rm', '-rf', folder)
  }
}
