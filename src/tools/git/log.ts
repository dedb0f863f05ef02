import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { openRepository } from './git-command.ts'
import { refArgument, resolveCommit } from './git-ref.ts'
import { pathspecs } from './git-scope.ts'

/** One field a line: none but the subject could hold a line end, and git puts that on one line. */
const FORMAT = '--format=%H%n%P%n%aI%n%ae%n%an%n%s'

export default defineTool({
  name: 'git.log',
  description: `Lists the commits that lead to a ref, newest first, with hash, author, date, subject and parents. In a session that may use
only some paths, the commits that changed something there. It changes nothing. For what a commit changed use git.show.`,
  input: z.object({
    ref: refArgument('Where to begin.').default('HEAD'),
    max_count: z.int().min(1).max(200).default(20).describe('At most this many commits.'),
  }),
  output: z.object({
    ref: z.string(),
    count: z.int(),
    entries: z.array(
      z.object({
        hash: z.string(),
        author_name: z.string(),
        author_email: z.string(),
        date: z.string().describe('Of the author, ISO 8601.'),
        subject: z.string(),
        parents: z.array(z.string()),
      }),
    ),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 20,
  output_limit_kb: 1024,
  policy: { refs: ['ref'] },
  errors: ['invalid_argument', 'git_repo_error'],
  examples: [{ title: 'The last five commits', args: { max_count: 5 } }],
  async handler({ ref, max_count }, context) {
    const specs = pathspecs(context.session.allowed_paths)
    const repository = await openRepository(context)
    const commit = await resolveCommit(repository, ref)
    const args = [
      'log',
      '-z',
      FORMAT,
      `--max-count=${max_count}`,
      '--no-color',
      '--no-mailmap',
      '--no-show-signature',
      '--encoding=UTF-8',
    ]
    // Any path at all makes git leave merges out.
    const limits = specs.includes(':(top)') ? [] : specs
    const { stdout, command, exit_code } = await repository.run([
      ...args,
      '--no-ext-diff',
      '--no-textconv',
      commit,
      '--',
      ...limits,
    ])
    const entries = stdout
      .split('\0')
      .filter((record) => record !== '')
      .map((record) => {
        const [hash = '', parents = '', date = '', author_email = '', author_name = '', ...subject] = record.split('\n')
        return {
          hash,
          author_name,
          author_email,
          date,
          subject: subject.join('\n').trimEnd(),
          parents: parents.split(' ').filter(Boolean),
        }
      })
    return { output: { ref, count: entries.length, entries, command }, exit_code }
  },
})
