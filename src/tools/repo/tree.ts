import { z } from 'zod'
import { defineTool, type ToolSandbox } from '../../catalog/define-tool.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'

const MOST_ENTRIES = 2000

interface Drawing {
  lines: string[]
  truncated: boolean
}

export default defineTool({
  name: 'repo.tree',
  description: `Draws the directories and files below a directory of the workspace as an indented tree, to get an overview of a repository.
Names in ignore (by default .git and what builds and package managers leave) are left out at every level; symbolic links are shown, never
followed. At most 2000 entries: beyond that truncated is true, and a smaller max_depth or a subdirectory helps. For sizes and times use
fs.list.`,
  input: z.object({
    path: pathArgument('The directory.').default('.'),
    max_depth: z.int().min(1).max(10).default(3).describe('How many levels.'),
    show_files: z.boolean().default(true).describe('false: directories only.'),
    ignore: z
      .string()
      .max(1000)
      .default('.git,node_modules,target,dist,build,__pycache__,.venv,.workspace-venv,.workspace-build')
      .describe('Names to leave out, separated by commas. Empty: none, so that .git is shown too.'),
  }),
  output: z.object({ tree: z.string(), entries: z.int(), truncated: z.boolean() }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 15,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  primary_output: 'tree',
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'Directories, two levels', args: { max_depth: 2, show_files: false } }],
  async handler({ path, max_depth, show_files, ignore }, { sandbox }) {
    const ignored = new Set(
      ignore
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== ''),
    )
    const drawing: Drawing = { lines: [], truncated: false }
    await draw(sandbox, path, 1, { max_depth, show_files, ignored }, drawing)
    const tree = [`${shownPath(path)}/`, ...drawing.lines].join('\n')
    return {
      output: { tree: `${tree}\n`, entries: drawing.lines.length, truncated: drawing.truncated },
      truncated: drawing.truncated,
    }
  },
})

async function draw(
  sandbox: ToolSandbox,
  path: string,
  depth: number,
  options: { max_depth: number; show_files: boolean; ignored: Set<string> },
  drawing: Drawing,
): Promise<void> {
  const { entries, truncated } = await sandbox.list(path, { recursive: false, max_entries: 1000, skip_git: false })
  if (truncated) drawing.truncated = true
  for (const entry of entries) {
    const name = entry.path.slice(entry.path.lastIndexOf('/') + 1)
    if (options.ignored.has(name) || (entry.type !== 'dir' && !options.show_files)) continue
    if (drawing.lines.length >= MOST_ENTRIES) {
      drawing.truncated = true
      return
    }
    const mark = entry.type === 'dir' ? '/' : entry.type === 'symlink' ? '@' : ''
    drawing.lines.push(`${'  '.repeat(depth)}${name.replaceAll('\n', '\\n')}${mark}`)
    if (entry.type === 'dir' && depth < options.max_depth) await draw(sandbox, entry.path, depth + 1, options, drawing)
  }
}
