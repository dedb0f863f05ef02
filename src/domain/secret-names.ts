import { MIN_REDACTED_LENGTH } from './redaction.ts'

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Names that steer a process instead of informing it: the loader, interpreters, shells, git, and what is Cloister's own. */
const REFUSED = [
  // The shell and the session.
  /^(PATH|HOME|SHELL|USER|LOGNAME|PWD|OLDPWD|IFS|ENV|TERM|TMPDIR|LANG|LANGUAGE|EDITOR|VISUAL|PAGER|PS4|CDPATH|GLOBIGNORE|PROMPT_COMMAND|SHELLOPTS)$/,
  /^BASH(_ENV|_FUNC|_XTRACEFD|OPTS)/,
  // The loader and the C library.
  /^(LD|DYLD|GLIBC|MALLOC|LC)_/,
  /^(GCONV_PATH|LOCPATH|NLSPATH|HOSTALIASES|RES_OPTIONS|TZDIR)$/,
  // Interpreters, compilers and package managers.
  /^(PYTHON|PERL|RUBY)(5|_)?(ENV|OPT|OPTS|OPTIONS|PATH|HOME|STARTUP|LIB|INSPECT|DEBUG|USERBASE|WARNINGS|BREAKPOINT|EXECUTABLE)/,
  /^NODE_(OPTIONS|PATH|EXTRA_CA_CERTS|REPL_|DEBUG|ICU_DATA|V8_COVERAGE|TLS_REJECT_UNAUTHORIZED)/,
  /^(JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|JAVA_HOME|CLASSPATH|GOFLAGS|GOROOT|GOPATH|GOPROXY|GOENV|RUSTFLAGS|RUSTC|RUSTC_WRAPPER|CC|CXX|CFLAGS|LDFLAGS|MAKEFLAGS)$/,
  /^(NPM_CONFIG|GIT(?!_(TOKEN|USERNAME|PASSWORD)$)|CARGO|RUSTUP|CLOISTER)_/i,
  // Where traffic goes.
  /^(HTTP|HTTPS|ALL|NO)_PROXY$/i,
]

/** At most this many secrets, each of at most this many bytes. */
export const SECRET_COUNT = 100
export const SECRET_BYTES = 64 * 1024
/** Together: all of them are looked for, in several forms each, in whatever leaves, and that table is kept in memory. */
export const SECRETS_BYTES = 512 * 1024

/** Why these may not be a session's secrets; null: they may. */
export function refuseSecrets(secrets: Record<string, string>): { name: string; reason: string } | null {
  const entries = Object.entries(secrets)
  if (entries.length > SECRET_COUNT) return { name: '', reason: `at most ${SECRET_COUNT} secrets` }
  const total = entries.reduce((sum, [, value]) => sum + Buffer.byteLength(value), 0)
  if (total > SECRETS_BYTES) return { name: '', reason: `at most ${SECRETS_BYTES} bytes of secrets altogether` }
  for (const [name, value] of entries) {
    if (!NAME.test(name) || name.length > 128)
      return { name, reason: "a secret's name must match [A-Za-z_][A-Za-z0-9_]*, at most 128 characters" }
    if (REFUSED.some((pattern) => pattern.test(name)))
      return { name, reason: `${name} steers programs and cannot be a secret's name` }
    if (value.includes('\0')) return { name, reason: 'a secret must not hold a NUL byte' }
    if (Buffer.byteLength(value) > SECRET_BYTES) return { name, reason: `a secret is at most ${SECRET_BYTES} bytes` }
  }
  return null
}

/** What the creator is told about secrets that cannot be kept out of outputs. */
export function secretWarnings(secrets: Record<string, string>): string[] {
  return Object.entries(secrets)
    .filter(([, value]) => value.length < MIN_REDACTED_LENGTH)
    .map(([name]) => `the value of ${name} is shorter than ${MIN_REDACTED_LENGTH} characters: it is not redacted from outputs`)
}
