import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import type { Isolation } from '../../domain/session.ts'
import type { Check, DriverCheck, SandboxDriver } from '../sandbox-driver.ts'
import { SYSTEM_PATH } from './spawn-bwrap.ts'

const run = promisify(execFile)
const OLDEST = [0, 8] as const
/** Of the sandbox that is started to look at, when the server is root: nobody's. */
const TRIAL_UID = 65_534
const TRIAL_LIMITS = { memory_mb: 256, cpus: 1, pids: 64 }
/** Programs that tools use, and the package that brings each. */
const PROGRAMS = { git: 'git', rg: 'ripgrep' } as const

/**
 * What this machine can do, found by starting a real sandbox and looking around in it, with what mends each lack.
 * @param refusal a setting that forbids any start; null if none does
 */
export async function checkBubblewrap(driver: SandboxDriver, refusal: string | null): Promise<DriverCheck> {
  const settings: Check = {
    ...{ name: 'settings', ok: refusal === null, required: true },
    ...{ detail: refusal ?? 'can be used', fix: refusal === null ? null : 'correct the setting' },
  }
  const bwrap = await checkVersion()
  const checks = [settings, bwrap, await checkBash()]
  if (checks.some(({ ok }) => !ok)) return { kind: driver.kind, usable: false, checks, isolation: null }
  const trial = await tryOut(driver)
  checks.push(...trial.checks)
  return { kind: driver.kind, usable: trial.isolation !== null, checks, isolation: trial.isolation }
}

async function checkVersion(): Promise<Check> {
  const name = 'bubblewrap'
  const fix = 'apt-get install -y bubblewrap (0.8 or newer: Debian 12, Ubuntu 24.04)'
  const answer = await run('bwrap', ['--version'], { env: { PATH: SYSTEM_PATH } }).catch(() => null)
  if (answer === null) return { name, ok: false, required: true, detail: 'bwrap is not installed', fix }
  const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(answer.stdout)?.slice(1) ?? []).map(Number)
  const ok = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
  return { name, ok, required: true, detail: answer.stdout.trim(), fix: ok ? null : fix }
}

/** It starts bwrap, and is the shell of sessions. */
async function checkBash(): Promise<Check> {
  const there = await run('bash', ['-c', 'echo "$BASH_VERSION"'], { env: { PATH: SYSTEM_PATH } }).catch(() => null)
  const ok = there !== null
  return {
    name: 'bash',
    ok,
    required: true,
    detail: ok ? there.stdout.trim() : 'not installed',
    fix: ok ? null : 'apt-get install -y bash',
  }
}

async function tryOut(driver: SandboxDriver): Promise<{ checks: Check[]; isolation: Isolation | null }> {
  const sessionId = `doctor-${process.pid}-${Date.now().toString(36)}`
  const uid = process.getuid?.() === 0 ? TRIAL_UID : null
  await driver.volumes.create(sessionId, { uid, secrets: {}, staging: {} })
  try {
    const { record, sandbox } = await driver.start(
      {
        ...{ session_id: sessionId, generation: 1, purpose: 'session', uid, limits: TRIAL_LIMITS },
        ...{ network: 'none', isolation_floor: 'namespaces', epoch: 1 },
      },
      async () => undefined,
    )
    try {
      const look = Object.keys(PROGRAMS).concat('node', 'npm').join(' ')
      const found = await sandbox.exec({
        ...{ id: 'doctor', invocation_id: 'doctor', timeout_ms: 10_000, max_output_bytes: 65_536 },
        argv: ['/bin/sh', '-c', `for name in ${look}; do command -v "$name"; done; true`],
      })
      const paths = found.stdout.toString('utf8').split('\n').filter(Boolean)
      const checks = [started(record.isolation), ...limitChecks(record.isolation), ...programChecks(paths)]
      return { checks, isolation: record.isolation }
    } finally {
      sandbox.disconnect()
      await driver.stop(record, sessionId)
    }
  } catch (error) {
    return { checks: [failed(error)], isolation: null }
  } finally {
    await driver.volumes.destroy(sessionId)
  }
}

function started(isolation: Isolation | null): Check {
  const detail = `started: own ${isolation?.namespaces.join(', ')} namespaces, no capabilities, seccomp filter, uid ${isolation?.uid}`
  return { name: 'sandbox', ok: true, required: true, detail, fix: null }
}

/** Says which setting of the machine is known to forbid user namespaces. */
function failed(error: unknown): Check {
  const forbids: [string, string, string][] = [
    ['/proc/sys/kernel/unprivileged_userns_clone', '0', 'sysctl -w kernel.unprivileged_userns_clone=1'],
    ['/proc/sys/kernel/apparmor_restrict_unprivileged_userns', '1', 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'],
    ['/proc/sys/user/max_user_namespaces', '0', 'sysctl -w user.max_user_namespaces=15000'],
  ]
  const found = forbids.find(([path, value]) => existsSync(path) && readFileSync(path, 'utf8').trim() === value)
  const fix =
    found?.[2] ??
    'in a container: run it with user namespaces and mounts allowed (docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined)'
  return { name: 'sandbox', ok: false, required: true, detail: error instanceof Error ? error.message : String(error), fix }
}

function limitChecks(isolation: Isolation | null): Check[] {
  return Object.entries(isolation?.limits ?? {}).map(([name, by]) => {
    const ok = by.startsWith('cgroup')
    const detail =
      by === 'rlimit'
        ? 'by rlimit: for each process, not for the sandbox as a whole'
        : by === 'absent'
          ? 'not limited'
          : `by ${by}`
    const fix =
      'run the server as root, or by: systemd-run --user --scope -p Delegate=yes; in a container whose /sys/fs/cgroup is writable, first: mkdir /sys/fs/cgroup/init && xargs -rn1 < /sys/fs/cgroup/cgroup.procs > /sys/fs/cgroup/init/cgroup.procs'
    return { name: `limit ${name}`, ok, required: false, detail, fix: ok ? null : fix }
  })
}

function programChecks(paths: string[]): Check[] {
  const find = (name: string) => paths.find((path) => path.endsWith(`/${name}`))
  const check = (name: string, fix: string): Check => {
    const path = find(name)
    return {
      name,
      ok: path !== undefined,
      required: false,
      detail: path ?? 'not in the sandbox',
      fix: path === undefined ? fix : null,
    }
  }
  return [
    ...Object.entries(PROGRAMS).map(([name, packageName]) => check(name, `apt-get install -y ${packageName}`)),
    check('node', 'start the server with the Node that sessions shall use'),
    check('npm', 'apt-get install -y npm'),
  ]
}
