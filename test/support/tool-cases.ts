import type { OwnToolError } from '../../src/domain/errors.ts'
import { BROKEN, PROJECTS } from './sample-projects.ts'

/** One call in one of the workspaces below. */
export interface Case {
  args: Record<string, unknown>
  /** Default: `main`. */
  at?: keyof typeof WORKSPACES
  /** Calls before it, each of which must succeed. Their last `field` of the output replaces `$field` in `args`. */
  before?: { tool: string; args: Record<string, unknown> }[]
  /** Without the approval that every other call brings. */
  unapproved?: true
  /** A race with something in the sandbox: the call is made up to so many times, until it ends so. Default: 1. */
  tries?: number
}

export interface ToolCases {
  succeeds: Case
  /** Calls that fail, by code: at least one for every error that the tool declares, and what else its description promises. */
  fails: [code: string, ...Case[]][]
  /** Declared errors that no call gives on every machine, and why. */
  without_case?: Partial<Record<OwnToolError, string>>
}

export interface Workspace {
  files: Record<string, string>
  git: boolean
  /** Has network, and a remote `origin` with its first commit as the branch of this name (`main` of the workspace `main`). */
  remote?: string
}

const git = (files: Record<string, string>, remote?: string): Workspace => ({
  files,
  git: true,
  ...(remote !== undefined && { remote }),
})

/** What the sessions of the table hold. */
export const WORKSPACES = {
  main: git(
    {
      ...PROJECTS.node,
      'package-lock.json': JSON.stringify({
        name: 'demo',
        version: '1.0.0',
        lockfileVersion: 3,
        packages: { '': { name: 'demo', version: '1.0.0' } },
      }),
      'README.md': 'hello\none\ntwo\n',
      'src/index.js': 'export const answer = 42\n',
      'main.c': 'int main(void) { return 0; }\n',
      'move-me.txt': 'x\n',
      'delete-me.txt': 'x\n',
      Dockerfile: 'FROM node:latest\nUSER root\n',
      'binary.bin': '\uFFFD\u0000binary',
    },
    'main',
  ),
  empty: { files: {}, git: false },
  diverging: git({ 'a.txt': 'a\n' }, 'diverging'),
  /** A directory where a file should be. */
  odd: git({ 'go.mod/x': '' }),
  node_failing: git({
    'package.json': JSON.stringify({
      name: 'demo',
      version: '1.0.0',
      scripts: { test: 'node --test', build: 'exit 1', lint: 'exit 1', typecheck: 'exit 1' },
    }),
    'sum.test.js': "require('node:test')('adds', () => { throw new Error('no') })\n",
    'broken.js': 'export function sum(a, b {\n',
  }),
  python: git(PROJECTS.python),
  python_broken: git({ ...PROJECTS.python, ...BROKEN.python }),
  python_failing: git({ ...PROJECTS.python, 'test_summing.py': 'def test_add():\n    assert 1 == 2\n' }),
  go: git(PROJECTS.go),
  go_broken: git({ ...PROJECTS.go, ...BROKEN.go }),
  go_failing: git({
    ...PROJECTS.go,
    'main.go': `${PROJECTS.go['main.go']}\n//go:generate false\n`,
    'main_test.go': 'package main\n\nimport "testing"\n\nfunc TestSum(t *testing.T) { t.Error("no") }\n',
    'go.mod': `${PROJECTS.go['go.mod']}\nrequire example.com/unused v1.0.0\n`,
  }),
  rust: git(PROJECTS.rust),
  rust_broken: git({ ...PROJECTS.rust, ...BROKEN.rust }),
  rust_failing: git({
    ...PROJECTS.rust,
    'src/main.rs': 'fn main() {let x = 1;}\n#[test]\nfn adds() { assert_eq!(1, 2); }\n',
  }),
  c: git({ 'main.c': 'int main(void) { return 0; }\n' }),
  c_broken: git({ ...PROJECTS.c, ...BROKEN.c }),
  c_failing: git({ 'main.c': 'int main(void) { return 1; }\n' }),
} satisfies Record<string, Workspace>

const write = (path: string, content: string) => ({ tool: 'fs.write', args: { path, content } })
const patch = (from: string, to: string, path = 'README.md') =>
  `--- a/${path}\n+++ b/${path}\n@@ -1,3 +1,3 @@\n-${from}\n+${to}\n one\n two\n`
const failing = (at: Case['at'], args: Case['args'] = {}): Case => ({ ...(at !== undefined && { at }), args })
const shell = (command: string, background = false) => ({ tool: 'shell.exec', args: { command, background } })

/** A name longer than any file system takes, and one that the schema of a target still does. */
const TOO_LONG = 'x'.repeat(300)
const LONG_TARGET = 'x'.repeat(256)
const link = shell('ln -sfn README.md a-link')
/** A repository has nothing of it, and policy lets it through: what git is asked about must lie in the workspace. */
const OUTSIDE = '/session/data/x'

/** Of a target that is a name for something, it is only asked where it leads if it is there. */
const targets = (at: Case['at'] = 'main'): ToolCases['fails'] => [
  ['not_found', { at, args: { target: 'dangling' }, before: [shell('ln -sfn nowhere dangling')] }],
  ['invalid_argument', { at, args: { target: LONG_TARGET } }],
]
/** Of a path that must be there. */
const paths = (at: Case['at'], field = 'target'): ToolCases['fails'] => [
  ['not_found', { at: at ?? 'main', args: { [field]: 'nowhere' } }],
  ['invalid_argument', { at: at ?? 'main', args: { [field]: TOO_LONG } }],
]

/** A file that another process changes all the time, in place and to the same length: it is hardly ever as it was read a moment before. */
const restless = (path: string) => [
  write(path, 'a000000000\n'),
  shell(`i=0; end=$((SECONDS+15)); while [ $SECONDS -lt $end ]; do i=$((i+1)); printf 'a%09d\\n' $i 1<>${path}; done`, true),
  shell(`until ! grep -q a000000000 ${path}; do sleep 0.05; done`),
]

/** One branch here and one on the remote that changed the same line; and one that is no ancestor of anything. */
const diverge = shell(
  `git checkout -qf -B theirs main && echo theirs > a.txt && git commit -qam theirs && git push -qf origin theirs &&
   git checkout -qf -B ours main && echo ours > a.txt && git commit -qam ours && git branch -f apart $(git commit-tree -m apart HEAD^{tree})`,
)

/** Of dependencies: a path that is not there, one that is no directory, a lockfile that cannot be read. */
const NO_INVENTORY: ToolCases['fails'] = [
  ['not_found', { args: { path: 'nowhere' } }],
  ['invalid_argument', { args: { path: 'README.md' } }],
  ['execution_failed', { args: { path: 'bad' }, before: [write('bad/package-lock.json', '{')] }],
]

/** Tools that answer every question that their schema takes, and for which nothing else is promised. */
const NO_ERRORS: ToolCases['fails'] = []

export const TOOL_CASES: Record<string, ToolCases> = {
  'artifact.download': {
    succeeds: { args: { path: 'README.md', encoding: 'utf8' } },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }, { args: { artifact_id: 'art_01m7y552dqqxgeaqsy23yg28xg' } }],
      ['invalid_argument', { args: {} }, { args: { path: 'src' } }],
      [
        'execution_failed',
        {
          args: { path: 'raw.bin', encoding: 'utf8' },
          before: [{ tool: 'fs.write', args: { path: 'raw.bin', content: '/v8=', encoding: 'base64' } }],
        },
      ],
    ],
  },
  'artifact.list': {
    succeeds: { args: { pattern: '*.md' } },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }],
      ['invalid_argument', { args: { path: TOO_LONG } }],
    ],
  },
  'artifact.upload': {
    succeeds: { args: { path: 'README.md' } },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }],
      ['invalid_argument', { args: { path: 'src' } }],
    ],
  },
  'c.build': {
    succeeds: { at: 'c', args: {} },
    fails: [
      ['execution_failed', failing('c_broken')],
      ['not_found', failing('c', { source: 'nowhere.c' })],
      ['invalid_argument', failing('c', { source: '.' })],
    ],
  },
  'c.test': {
    succeeds: { at: 'c', args: {} },
    fails: [
      ['tests_failed', failing('c_failing')],
      ['execution_failed', failing('c_broken')],
      ['not_found', failing('c', { source: 'nowhere.c' })],
      ['invalid_argument', failing('c', { source: '.' })],
    ],
  },
  'ci.run_pipeline': {
    succeeds: { args: { include_coverage: false, include_static_analysis: false } },
    fails: [
      ['tests_failed', failing('python_failing', { include_coverage: false })],
      ['execution_failed', failing('node_failing')],
      ...targets(),
    ],
  },
  'fs.copy': {
    succeeds: { args: { source_path: 'README.md', destination_path: 'copy.md' } },
    fails: [
      ['not_found', { args: { source_path: 'nowhere', destination_path: 'x' } }],
      [
        'invalid_argument',
        { args: { source_path: 'README.md', destination_path: 'README.md' } },
        { args: { source_path: 'src', destination_path: 'src2' } },
      ],
      ['execution_failed', { args: { source_path: 'README.md', destination_path: 'main.c' } }],
      [
        'approval_required',
        { args: { source_path: 'README.md', destination_path: 'main.c', overwrite: true }, unapproved: true },
      ],
    ],
  },
  'fs.delete': {
    succeeds: { args: { path: 'delete-me.txt' } },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }],
      ['invalid_argument', { args: { path: 'src' } }],
      ['policy_denied', { args: { path: '.' } }, { args: { path: '.git/config' } }],
    ],
  },
  'fs.edit': {
    succeeds: { args: { path: 'edit.txt', old_string: 'a', new_string: 'b' }, before: [write('edit.txt', 'a')] },
    fails: [
      [
        'invalid_argument',
        { args: { path: 'README.md', old_string: 'not in it', new_string: 'x' } },
        { args: { path: 'README.md', old_string: 'o', new_string: 'x' } },
        { args: { path: 'README.md', old_string: 'hello', new_string: 'hello' } },
      ],
      ['not_found', { args: { path: 'nowhere', old_string: 'a', new_string: 'b' } }],
      ['policy_denied', { args: { path: '.git/config', old_string: 'a', new_string: 'b' } }],
      [
        'execution_failed',
        {
          args: { path: 'restless-edit.txt', old_string: 'a', new_string: 'b' },
          before: restless('restless-edit.txt'),
          tries: 50,
        },
      ],
    ],
  },
  'fs.glob': {
    succeeds: { args: { pattern: '**/*.js' } },
    fails: [
      ['not_found', { args: { pattern: '*', path: 'nowhere' } }],
      ['invalid_argument', { args: { pattern: '*', path: 'README.md' } }],
    ],
  },
  'fs.insert': {
    succeeds: { args: { path: 'insert.txt', line: 0, content: 'x' }, before: [write('insert.txt', 'a\n')] },
    fails: [
      [
        'invalid_argument',
        { args: { path: 'nowhere', line: 0, content: 'x' } },
        { args: { path: 'README.md', line: -1, content: 'x' } },
      ],
      [
        'execution_failed',
        { args: { path: 'restless-insert.txt', line: 0, content: 'b' }, before: restless('restless-insert.txt'), tries: 50 },
      ],
    ],
  },
  'fs.list': {
    succeeds: { args: { recursive: true } },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }],
      ['invalid_argument', { args: { path: 'README.md' } }],
    ],
  },
  'fs.mkdir': {
    succeeds: { args: { path: 'new/directory' } },
    fails: [
      ['execution_failed', { args: { path: 'README.md' } }, { args: { path: 'src', exist_ok: false } }],
      ['not_found', { args: { path: 'no/where', create_parents: false } }],
      ['invalid_argument', { args: { path: 'README.md/below' } }],
    ],
  },
  'fs.move': {
    succeeds: { args: { source_path: 'move-me.txt', destination_path: 'moved/there.txt' } },
    fails: [
      ['not_found', { args: { source_path: 'nowhere', destination_path: 'x' } }],
      ['execution_failed', { args: { source_path: 'README.md', destination_path: 'main.c' } }],
      [
        'approval_required',
        { args: { source_path: 'README.md', destination_path: 'main.c', overwrite: true }, unapproved: true },
      ],
      ['invalid_argument', { args: { source_path: 'src', destination_path: 'src/below' } }],
    ],
  },
  'fs.patch': {
    succeeds: { args: { unified_diff: patch('a', 'b', 'patch.txt') }, before: [write('patch.txt', 'a\none\ntwo\n')] },
    fails: [
      ['invalid_argument', { args: { unified_diff: 'no patch at all' } }],
      ['execution_failed', { args: { unified_diff: patch('other', 'x') } }],
      ['policy_denied', { args: { unified_diff: patch('a', 'b', '../../etc/passwd') } }],
      ['invalid_argument', { args: { unified_diff: patch('hello', 'x', 'a-link') }, before: [link] }],
      ['git_repo_error', failing('empty', { unified_diff: patch('a', 'b'), strategy: 'apply' })],
    ],
  },
  'fs.read': {
    succeeds: { args: { path: 'README.md' } },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }],
      ['invalid_argument', { args: { path: 'src' } }],
    ],
  },
  'fs.read_lines': {
    succeeds: { args: { path: 'README.md' } },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }],
      ['invalid_argument', { args: { path: 'README.md', start_line: 1, end_line: 501 } }],
    ],
  },
  'fs.search': {
    succeeds: { args: { pattern: 'answer' } },
    fails: [
      ['invalid_argument', { args: { pattern: '(' } }],
      ['not_found', { args: { pattern: 'x', path: 'nowhere' } }],
    ],
  },
  'fs.stat': { succeeds: { args: { path: 'README.md' } }, fails: [['invalid_argument', { args: { path: TOO_LONG } }]] },
  'fs.write': {
    succeeds: { args: { path: 'written.txt', content: '' } },
    fails: [
      [
        'invalid_argument',
        { args: { path: 'x', content: '*', encoding: 'base64' } },
        { args: { path: 'x', content: 'x'.repeat(1024 * 1024 + 1) } },
      ],
      ['policy_denied', { args: { path: '.git/hooks/pre-commit', content: 'x' } }],
      ['not_found', { args: { path: 'no/where.txt', content: 'x', create_parents: false } }],
    ],
  },
  'git.apply_patch': {
    succeeds: { args: { patch: patch('a', 'b', 'git-patch.txt') }, before: [write('git-patch.txt', 'a\none\ntwo\n')] },
    fails: [
      ['execution_failed', { args: { patch: patch('other', 'x') } }],
      ['invalid_argument', { args: { patch: 'no patch at all' } }],
      ['git_repo_error', failing('empty', { patch: patch('a', 'b') })],
      ['invalid_argument', { args: { patch: patch('hello', 'x', 'a-link') }, before: [link] }],
    ],
  },
  'git.blame': {
    succeeds: { args: { path: 'README.md' } },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }],
      ['git_repo_error', failing('empty', { path: 'x' })],
      ['invalid_argument', { args: { path: 'README.md', start_line: 3, end_line: 2 } }],
    ],
  },
  'git.branch_list': { succeeds: { args: {} }, fails: [['git_repo_error', failing('empty')]] },
  'git.checkout': {
    succeeds: { args: { ref: 'feature', create: true } },
    fails: [
      ['git_repo_error', { args: { ref: 'nowhere' } }, failing('empty', { ref: 'main' })],
      ['invalid_argument', { args: { ref: 'main', start_point: 'main' } }],
      ['execution_failed', { at: 'diverging', args: { ref: 'theirs' }, before: [diverge, write('a.txt', 'not committed')] }],
    ],
  },
  'git.commit': {
    succeeds: { args: { message: 'one file', paths: ['committed.txt'] }, before: [write('committed.txt', 'x')] },
    fails: [
      ['execution_failed', { args: { message: 'nothing', paths: ['README.md'] } }],
      ['git_repo_error', failing('empty', { message: 'x' })],
      [
        'invalid_argument',
        { args: { message: 'x', all: true, paths: ['README.md'] } },
        { args: { message: 'x', paths: [OUTSIDE] } },
      ],
    ],
  },
  'git.diff': {
    succeeds: { args: {} },
    fails: [
      ['git_repo_error', { args: { base: 'nowhere' } }, failing('empty')],
      ['invalid_argument', { args: { paths: [OUTSIDE] } }],
    ],
  },
  'git.diff_file': {
    succeeds: { args: { path: 'README.md' } },
    fails: [
      ['git_repo_error', { args: { path: 'README.md', ref: 'nowhere' } }, failing('empty', { path: 'x' })],
      ['invalid_argument', { args: { path: OUTSIDE } }],
    ],
  },
  'git.fetch': {
    succeeds: { args: {} },
    fails: [
      ['git_repo_error', { args: { refspec: 'nowhere' } }, failing('main', { remote: 'nobody' })],
      ['execution_failed', { at: 'diverging', args: { refspec: 'theirs:apart' }, before: [diverge] }],
    ],
  },
  'git.log': {
    succeeds: { args: {} },
    fails: [
      ['git_repo_error', { args: { ref: 'nowhere' } }, failing('empty')],
      ['invalid_argument', { args: { ref: 'größe' } }],
    ],
  },
  'git.pull': {
    succeeds: { args: { refspec: 'main' } },
    fails: [
      ['git_repo_error', { args: { refspec: 'nowhere' } }],
      ['execution_failed', { at: 'diverging', args: { refspec: 'theirs' }, before: [diverge] }],
      ['invalid_argument', { args: { refspec: 'main:elsewhere' } }],
    ],
  },
  'git.push': {
    succeeds: { args: { refspec: 'main' } },
    fails: [
      ['execution_failed', { args: { refspec: 'nowhere' } }],
      ['git_repo_error', { args: { remote: 'nobody' } }],
    ],
  },
  'git.show': {
    succeeds: { args: {} },
    fails: [
      ['git_repo_error', { args: { ref: 'nowhere' } }, failing('empty')],
      ['invalid_argument', { args: { path: OUTSIDE } }],
    ],
  },
  'git.status': { succeeds: { args: {} }, fails: [['git_repo_error', failing('empty')]] },
  'go.build': {
    succeeds: { at: 'go', args: {} },
    fails: [
      ['execution_failed', failing('go_broken')],
      ['not_found', failing('go', { target: 'nowhere' })],
      ['invalid_argument', failing('go', { target: TOO_LONG })],
    ],
  },
  'go.generate': { succeeds: { at: 'go', args: {} }, fails: [['execution_failed', failing('go_failing')], ...paths('go')] },
  'go.mod.tidy': {
    succeeds: { at: 'go', args: {} },
    fails: [
      ['execution_failed', failing('go_failing', { check: true })],
      ['invalid_argument', failing('odd', { check: true })],
    ],
  },
  'go.test': {
    succeeds: { at: 'go', args: {} },
    fails: [['tests_failed', failing('go_failing')], ['execution_failed', failing('go_broken')], ...paths('go', 'package')],
  },
  'node.build': { succeeds: { args: {} }, fails: [['execution_failed', failing('node_failing')], ...paths('main')] },
  'node.install': { succeeds: { args: {} }, fails: [['execution_failed', failing('node_failing')]] },
  'node.lint': { succeeds: { args: {} }, fails: [['execution_failed', failing('node_failing')], ...paths('main')] },
  'node.test': {
    succeeds: { args: {} },
    fails: [['tests_failed', failing('node_failing')], ['execution_failed', failing('empty')], ...paths('main')],
  },
  'node.typecheck': { succeeds: { args: {} }, fails: [['execution_failed', failing('node_failing')], ...paths('main')] },
  'policy.check': { succeeds: { args: { tool_name: 'fs.read', args: { path: 'x' } } }, fails: NO_ERRORS },
  'process.list': { succeeds: { args: {} }, fails: NO_ERRORS },
  'process.output': {
    succeeds: {
      args: { process_id: '$process_id' },
      before: [{ tool: 'shell.exec', args: { command: 'echo x', background: true } }],
    },
    fails: [['not_found', { args: { process_id: 'p99' } }]],
  },
  'process.stop': {
    succeeds: {
      args: { process_id: '$process_id' },
      before: [{ tool: 'shell.exec', args: { command: 'sleep 60', background: true } }],
    },
    fails: [['not_found', { args: { process_id: 'p99' } }]],
  },
  'python.install_deps': {
    succeeds: { at: 'python', args: {} },
    fails: [
      ['invalid_argument', failing('python', { use_venv: false })],
      ['not_found', failing('python', { requirements_file: 'nowhere.txt' })],
      [
        'execution_failed',
        { at: 'python', args: { requirements_file: 'no.txt' }, before: [write('no.txt', 'no-such-package==1\n')] },
      ],
    ],
  },
  'python.test': {
    succeeds: { at: 'python', args: {} },
    fails: [['tests_failed', failing('python_failing')], ['execution_failed', failing('python_broken')], ...paths('python')],
  },
  'python.validate': {
    succeeds: { at: 'python', args: {} },
    fails: [
      ['execution_failed', failing('python_broken')],
      ['not_found', failing('python', { target: 'nowhere' })],
      ['invalid_argument', failing('python', { target: TOO_LONG })],
    ],
  },
  'quality.gate': { succeeds: { args: { metrics: { failed_tests_count: 1 } } }, fails: NO_ERRORS },
  'repo.build': {
    succeeds: { args: {} },
    fails: [
      ['execution_failed', failing('node_failing'), failing('empty')],
      ['policy_denied', { args: { extra_args: ['--exec=evil'] } }],
      ...targets(),
    ],
  },
  'repo.changed_files': {
    succeeds: { args: {} },
    fails: [
      ['git_repo_error', { args: { base_ref: 'nowhere' } }, failing('empty')],
      ['invalid_argument', { args: { path: OUTSIDE } }],
    ],
  },
  'repo.coverage_report': {
    succeeds: { at: 'go', args: {} },
    fails: [
      ['tests_failed', failing('node_failing')],
      ['execution_failed', failing('empty'), failing('go_broken')],
      ...targets(),
    ],
  },
  'repo.detect_project_type': { succeeds: { args: {} }, fails: NO_ERRORS },
  'repo.detect_toolchain': { succeeds: { args: {} }, fails: NO_ERRORS },
  'repo.find_references': {
    succeeds: { args: { symbol: 'answer' } },
    fails: [
      ['not_found', { args: { symbol: 'x', path: 'nowhere' } }],
      ['invalid_argument', { args: { symbol: 'x', path: TOO_LONG } }],
    ],
  },
  'repo.package': { succeeds: { args: {} }, fails: [['execution_failed', failing('c_broken'), failing('empty')], ...targets()] },
  'repo.run_tests': {
    succeeds: { args: {} },
    fails: [
      ['tests_failed', failing('node_failing'), failing('go_failing'), failing('python_failing')],
      ['execution_failed', failing('empty'), failing('go_broken'), failing('python_broken')],
      ['policy_denied', { args: { extra_args: ['--exec=evil'] } }],
      ...targets(),
    ],
  },
  'repo.stacktrace_summary': {
    succeeds: { args: { output: 'panic: no\n\ngoroutine 1 [running]:\nmain.main()\n\t/x/main.go:3 +0x1\n' } },
    fails: [['execution_failed', failing('empty')], ...targets()],
  },
  'repo.static_analysis': {
    succeeds: { args: {} },
    fails: [['execution_failed', failing('node_failing'), failing('empty')], ...targets()],
  },
  'repo.symbol_search': {
    succeeds: { args: { symbol: 'answer' } },
    fails: [
      ['invalid_argument', { args: { symbol: '(', use_regex: true } }],
      ['not_found', { args: { symbol: 'x', path: 'nowhere' } }],
    ],
  },
  'repo.symbols': {
    without_case: {
      execution_failed:
        'the parser is stopped after 10 s or at 256 MiB, which no file reaches on every machine: symbols.test.ts stops one after 1 ms',
    },
    succeeds: { args: { path: 'src/index.js' } },
    fails: [
      ['not_found', { args: { path: 'nowhere.js' } }],
      [
        'invalid_argument',
        { args: { path: 'src' } },
        {
          args: { path: 'large.js' },
          before: [{ tool: 'shell.exec', args: { command: 'head -c 1100000 /dev/zero | tr "\\\\0" x > large.js' } }],
        },
      ],
    ],
  },
  'repo.test_failures_summary': {
    succeeds: { args: { output: '--- FAIL: TestSum (0.00s)\n' } },
    fails: [['execution_failed', failing('empty')], ...targets()],
  },
  'repo.test_file': {
    succeeds: { args: { path: 'sum.test.js' } },
    fails: [
      ['not_found', { args: { path: 'nowhere.js' } }],
      ['invalid_argument', { args: { path: 'README.md' } }],
      ['execution_failed', { args: { path: 'sum.test.js', pattern: 'nothing of that name' } }],
      [
        'timeout',
        {
          args: { path: 'slow.test.js', timeout_seconds: 1 },
          before: [
            write(
              'slow.test.js',
              "import test from 'node:test'\ntest('slow', () => new Promise((done) => setTimeout(done, 30000)))\n",
            ),
          ],
        },
      ],
    ],
  },
  'repo.tree': {
    succeeds: { args: {} },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }],
      ['invalid_argument', { args: { path: 'README.md' } }],
    ],
  },
  'repo.validate': {
    succeeds: { at: 'go', args: {} },
    fails: [['execution_failed', failing('go_broken'), failing('empty')], ...targets()],
  },
  'rust.build': { succeeds: { at: 'rust', args: {} }, fails: [['execution_failed', failing('rust_broken')]] },
  'rust.clippy': { succeeds: { at: 'rust', args: {} }, fails: [['execution_failed', failing('rust_failing')]] },
  'rust.format': { succeeds: { at: 'rust', args: {} }, fails: [['execution_failed', failing('rust_failing')]] },
  'rust.test': {
    succeeds: { at: 'rust', args: {} },
    fails: [
      ['tests_failed', failing('rust_failing')],
      ['execution_failed', failing('rust_broken')],
    ],
  },
  'sbom.generate': {
    succeeds: { args: {} },
    fails: NO_INVENTORY,
  },
  'security.license_check': {
    succeeds: { args: {} },
    fails: NO_INVENTORY,
  },
  'security.scan_container': {
    succeeds: { args: {} },
    fails: [
      ['not_found', failing('empty'), { args: { path: 'nowhere' } }],
      ['invalid_argument', { args: { path: TOO_LONG } }],
      [
        'execution_failed',
        { args: { path: 'Largefile' }, before: [shell('head -c 1100000 /dev/zero | tr "\\\\0" x > Largefile')] },
      ],
    ],
  },
  'security.scan_dependencies': {
    succeeds: { args: {} },
    fails: NO_INVENTORY,
  },
  'security.scan_secrets': {
    succeeds: { args: {} },
    fails: [
      ['not_found', { args: { path: 'nowhere' } }],
      ['invalid_argument', { args: { path: TOO_LONG } }],
    ],
  },
  'shell.exec': {
    succeeds: { args: { command: 'exit 3' } },
    fails: [
      ['timeout', { args: { command: 'sleep 30', timeout_seconds: 1 } }],
      ['not_found', { args: { command: 'true', cwd: 'nowhere' } }],
      ['invalid_argument', { args: { command: 'cat', stdin: 'x', background: true } }],
    ],
  },
  'tool.suggest': { succeeds: { args: { task: 'read a file' } }, fails: NO_ERRORS },
  'workspace.undo_edit': {
    succeeds: { args: { path: 'undo.txt' }, before: [write('undo.txt', 'a'), write('undo.txt', 'b')] },
    fails: [['invalid_argument', { args: { path: 'README.md' } }]],
  },
}
