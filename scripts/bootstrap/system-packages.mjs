import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { quietly, Stop, say, tail } from './say.mjs'

/** Where Debian's Java packages put what Maven finds without a network. */
const MAVEN_PLUGINS = '/usr/share/maven-repo/org/apache/maven/plugins'

/**
 * Debian packages by group, each with the file that proves it is there. Files under /usr and not programs on PATH, because
 * sandboxes see the system's /usr and not what lies in somebody's home directory.
 */
const GROUPS = {
  run: { bubblewrap: '/usr/bin/bwrap', ripgrep: '/usr/bin/rg', git: '/usr/bin/git' },
  test: {
    'golang-go': '/usr/bin/go',
    cargo: '/usr/bin/cargo',
    rustc: '/usr/bin/rustc',
    rustfmt: '/usr/bin/cargo-fmt',
    'rust-clippy': '/usr/bin/cargo-clippy',
    python3: '/usr/bin/python3',
    'python3-pytest': '/usr/lib/python3/dist-packages/pytest',
    'python3-pytest-cov': '/usr/lib/python3/dist-packages/pytest_cov',
    'python3-pip': '/usr/lib/python3/dist-packages/pip',
    'python3-setuptools': '/usr/lib/python3/dist-packages/setuptools',
    'python3-wheel': '/usr/lib/python3/dist-packages/wheel',
    'python3-venv': '/usr/share/doc/python3-venv',
    'default-jdk-headless': '/usr/bin/javac',
    maven: '/usr/bin/mvn',
    'libsurefire-java': `${MAVEN_PLUGINS}/maven-surefire-plugin`,
    'libmaven-resources-plugin-java': `${MAVEN_PLUGINS}/maven-resources-plugin`,
    'libmaven-compiler-plugin-java': `${MAVEN_PLUGINS}/maven-compiler-plugin`,
    junit4: '/usr/share/java/junit4.jar',
    cmake: '/usr/bin/cmake',
    gcc: '/usr/bin/gcc',
    'libc6-dev': '/usr/include/stdio.h',
    make: '/usr/bin/make',
    'redis-server': '/usr/bin/redis-server',
    curl: '/usr/bin/curl',
    procps: '/usr/bin/ps',
    'util-linux': '/usr/bin/setpriv',
  },
  terminal: { tmux: '/usr/bin/tmux' },
}

/**
 * Installs the missing system packages of some groups, as root or with passwordless sudo.
 * @param {('run' | 'test' | 'terminal')[]} groups
 * @param {Record<string, Record<string, string>>} catalogue package names and the files that prove them, by group
 * @throws {Stop} with the exact command, when it may not or cannot install them
 */
export async function ensureSystemPackages(groups, catalogue = GROUPS) {
  const missing = groups.flatMap((group) => Object.entries(catalogue[group])).filter(([, file]) => !existsSync(file))
  if (missing.length === 0) return
  const names = missing.map(([name]) => name)
  if (!existsSync('/usr/bin/apt-get'))
    throw new Stop(
      `cloister: these are missing: ${missing.map(([name, file]) => `${name} (${file})`).join(', ')}.\nInstall them with this system's package manager.`,
    )
  const prefix = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...names]
  const byHand = `    ${prefix.length > 0 ? 'sudo ' : ''}apt-get update && ${prefix.length > 0 ? 'sudo ' : ''}${install.join(' ')}\n`
  if (prefix.length > 0 && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0)
    throw new Stop(
      `cloister: system packages are missing (${names.join(', ')}), and installing them needs root. Run:\n\n${byHand}`,
    )

  say(`installing system packages: ${names.join(', ')}`)
  const update = await apt(prefix, ['apt-get', 'update'])
  // A source that does not answer fails the update, and need not be the one that has these packages.
  if (update.code !== 0) say(`apt-get update ended with ${update.code}; trying to install all the same`)
  const { code, output } = await apt(prefix, install)
  const still = missing.filter(([, file]) => !existsSync(file)).map(([name]) => name)
  if (code !== 0 || still.length > 0)
    throw new Stop(
      `cloister: could not install ${(still.length > 0 ? still : names).join(', ')}:\n${tail(output)}\nMend that, then run:\n\n${byHand}`,
    )
  say('installed')
}

function apt(prefix, argv) {
  const [command, ...args] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', ...argv]
  return quietly(argv.slice(0, 2).join(' '), command, args)
}
