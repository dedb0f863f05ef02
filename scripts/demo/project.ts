import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const LEDGER = fileURLToPath(new URL('../../examples/ledger', import.meta.url))

/**
 * Copies examples/ledger to a new directory and makes a git repository of it, with one commit.
 * @param change made before the commit
 */
export function makeRepository(directory: string, change?: { path: string; before: string; after: string }): void {
  cpSync(LEDGER, directory, { recursive: true })
  if (change) {
    const file = join(directory, change.path)
    const text = readFileSync(file, 'utf8')
    if (!text.includes(change.before)) throw new Error(`${change.path} does not hold what is to be changed`)
    writeFileSync(file, text.replace(change.before, change.after))
  }
  // Nothing of this machine's git configuration: a hook or a signing key of somebody has no place here.
  const env = { PATH: process.env['PATH'], GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
  const git = (...args: string[]) => execFileSync('git', args, { cwd: directory, env, stdio: 'pipe' })
  git('init', '--quiet', '--initial-branch=main')
  git('add', '--all')
  git('-c', 'user.name=Demo', '-c', 'user.email=demo@example.test', 'commit', '--quiet', '--message=The ledger as it is')
}

export const INSTRUCTIONS = `# How to work here

- Run the tests before and after every change.
- Mend the code, not the tests.
- Keep changes small, and say at the end what you changed and why.
`

/** Prints the secret on purpose (it is not shown), and what proves that it is the same one later without telling it. */
export const SETUP = `#!/bin/bash
set -euo pipefail
printf '//registry.example.test/:_authToken=%s\\n' "$REGISTRY_TOKEN" > /session/data/npmrc
chmod 600 /session/data/npmrc
echo "node $(node --version), $(git --version)"
echo "the token is $REGISTRY_TOKEN"
echo "it has \${#REGISTRY_TOKEN} characters, sha256 $(printf %s "$REGISTRY_TOKEN" | sha256sum | cut -c1-16)..."
`
