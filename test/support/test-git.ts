import { execFileSync } from 'node:child_process'

/** Test support: plain git on the test's machine, to set repositories up and to look at them. Knows nothing of anybody's settings. */
export function testGit(cwd: string, ...args: string[]): string {
  const env = { PATH: process.env['PATH'] ?? '', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', HOME: '/nonexistent' }
  const settings = { 'user.name': 'Test', 'user.email': 'test@example.com', 'init.defaultBranch': 'main', 'safe.directory': '*' }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  return execFileSync('git', [...options, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] }).toString()
}
