import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentOf, alice, Gate } from '../../../test/support/gate.ts'
import type { Approval } from '../../domain/approval.ts'
import { sampleSession } from '../../domain/session.sample.ts'
import type { Session } from '../../domain/session.ts'
import copy from '../../tools/fs/copy.ts'
import remove from '../../tools/fs/delete.ts'
import move from '../../tools/fs/move.ts'
import checkout from '../../tools/git/checkout.ts'
import commit from '../../tools/git/commit.ts'
import push from '../../tools/git/push.ts'
import testFile from '../../tools/repo/test_file.ts'
import shell from '../../tools/shell/exec.ts'

/** What was approved is what runs: the same call, on what the person saw. */

let gate: Gate
/** Repositories elsewhere, to push to. */
let remotes: string
beforeAll(async () => {
  gate = await Gate.open({ tools: [copy, remove, move, checkout, commit, push, testFile, shell] })
  remotes = mkdtempSync(join(tmpdir(), 'cloister-remotes-'))
})
afterAll(async () => {
  await gate?.close()
  rmSync(remotes, { recursive: true, force: true })
})

const WORKSPACE = `
git init -q -b main .; git config user.name T; git config user.email t@example.org
printf 'ignored/\\n' > .gitignore; echo one > a.txt; mkdir -p d/sub; echo deep > d/sub/file
printf '{"name": "p", "scripts": {"test": "node --test"}}' > package.json
echo 'console.log(1)' > a.test.mjs; ln -s a.txt link
git add .; git commit -q -m first; git branch feature; git remote add origin https://example.org/a.git
echo two > a.txt; mkdir ignored; echo x > ignored/x
`

interface Case {
  tool: string
  args: Record<string, unknown>
  /** Each of these makes the approval stale. */
  changes: Record<string, string>
  /** And this does not. */
  same: string
}

const CASES: Case[] = [
  {
    tool: 'fs.delete',
    args: { path: 'd', recursive: true },
    changes: {
      'a file that is new in it': 'echo thesis > d/sub/thesis',
      'what a file in it says': 'echo other > d/sub/file',
      'what a file in it says, with its old length and time':
        'touch -r d/sub/file t; echo DEEP > d/sub/file; touch -r t d/sub/file',
      'a mode in it': 'chmod 600 d/sub/file',
    },
    same: 'echo deep > d/sub/file; echo x > elsewhere',
  },
  {
    tool: 'fs.copy',
    args: { source_path: 'a.txt', destination_path: 'd/sub/file', overwrite: true },
    changes: { 'its source': 'echo evil > a.txt', 'what it replaces': 'echo mine > d/sub/file' },
    same: 'echo two > a.txt',
  },
  {
    tool: 'fs.move',
    args: { source_path: 'd', destination_path: 'package.json', overwrite: true },
    changes: { 'what is in its source': 'echo evil > d/sub/more', 'what it replaces': 'echo {} > package.json' },
    same: 'touch d',
  },
  {
    tool: 'fs.write',
    args: { path: 'link', content: 'x' },
    changes: { 'what a link leads to': 'echo other > a.txt', 'where a link leads': 'ln -sfn package.json link' },
    same: 'echo y > unrelated',
  },
  {
    tool: 'repo.test_file',
    args: { path: 'a.test.mjs' },
    changes: { 'the test': 'echo "process.exit(1)" > a.test.mjs' },
    same: 'echo y > unrelated',
  },
  {
    // What it finds when it runs is what runs: the directory is only where.
    tool: 'shell.exec',
    args: { command: 'cat sub/file', cwd: 'd' },
    changes: { 'that there is the directory': 'rm -r d' },
    same: 'echo y > d/sub/file',
  },
  {
    tool: 'git.commit',
    args: { message: 'm', all: true },
    changes: {
      'a file that is tracked': 'echo EVIL > a.txt',
      'a file that is new': 'echo backdoor > new.js',
      'a file that is gone': 'rm d/sub/file',
      'the branch': 'git symbolic-ref HEAD refs/heads/feature',
      'what is ignored': 'rm .gitignore',
    },
    same: 'echo y > ignored/y; touch a.txt',
  },
  {
    tool: 'git.commit',
    args: { message: 'm', paths: ['d'] },
    changes: { 'a file deep in it': 'echo EVIL > d/sub/file', 'what else is staged': 'git add a.txt' },
    same: 'echo y > a.txt',
  },
  {
    tool: 'git.checkout',
    args: { ref: 'feature', force: true },
    changes: {
      'what the branch is': 'git branch -f feature $(git commit-tree -m evil HEAD^{tree})',
      'what would be thrown away': 'echo work > a.txt',
    },
    same: 'echo y > ignored/y',
  },
  {
    tool: 'git.push',
    args: { refspec: 'feature' },
    changes: {
      'what the branch is': 'git branch -f feature $(git commit-tree -m evil HEAD^{tree})',
      'where the remote is': 'git remote set-url origin https://example.org/b.git',
      'where the remote is, by another setting': 'git config url.https://example.org/b.git.insteadOf https://example.org/a.git',
    },
    same: 'echo y > a.txt',
  },
]

const sh = (session: Session, script: string) =>
  execFileSync('bash', ['-ec', script], { cwd: gate.path(session, '.'), stdio: ['ignore', 'pipe', 'inherit'] })

/** The state of a call's approval once somebody said yes, after `change`. */
async function approvedAfter({ tool, args }: Case, change: string): Promise<{ approval: Approval; ran: string }> {
  const session = await gate.session({ network: 'host', principal: { ...sampleSession().principal, roles: ['platform_admin'] } })
  sh(session, WORKSPACE)
  const record = await gate.invoke(session, tool, args, { request_approval: true, caller: agentOf(session.id) })
  const approval = (await gate.store.approvals.ofInvocation(record.id)) as Approval
  sh(session, change)
  const decided = await gate.approvals.approve(alice, approval.id, null)
  return { approval: decided, ran: (await gate.invocations.settled(record.id)).status }
}

describe.each(CASES)('an approved $tool $args', (call) => {
  it.each(Object.entries(call.changes))('is stale when %s changed since', async (_, change) => {
    const { approval, ran } = await approvedAfter(call, change)
    expect([approval.status, ran]).toEqual(['expired', 'denied'])
    expect(approval.reason).toContain('what it would change was changed')
  })

  it('runs when what it is about is as it was', async () => {
    const { approval } = await approvedAfter(call, call.same)
    expect([approval.status, approval.reason]).toEqual(['used', null])
  })
})
