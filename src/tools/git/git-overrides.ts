import { ToolError } from '../../domain/errors.ts'

/** More programs than this in one configuration is an attack on the size of the environment, or a mistake. */
const MAX_OVERRIDES = 512

/** What a repository's configuration could start, or change about what we print, whatever it says. */
const FIXED: [string, string][] = [
  ['core.fsmonitor', 'false'],
  ['core.hooksPath', '/dev/null'],
  ['core.pager', 'cat'],
  ['core.editor', 'false'],
  ['core.askPass', 'false'],
  ['core.sshCommand', 'false'],
  ['core.gitProxy', 'false'],
  ['core.alternateRefsCommand', 'false'],
  ['core.attributesFile', '/dev/null'],
  ['core.excludesFile', '/dev/null'],
  ['core.protectHFS', 'true'],
  ['core.protectNTFS', 'true'],
  ['core.quotePath', 'false'],
  // So that no change is overlooked.
  ['core.checkStat', 'default'],
  ['core.trustctime', 'true'],
  ['core.ignoreStat', 'false'],
  ['core.untrackedCache', 'false'],
  ['status.renames', 'true'],
  ['credential.helper', ''],
  ['diff.context', '3'],
  ['diff.interHunkContext', '0'],
  ['diff.external', ''],
  ['diff.orderFile', '/dev/null'],
  ['diff.submodule', 'short'],
  ['diff.noprefix', 'false'],
  ['diff.mnemonicPrefix', 'false'],
  ['diff.relative', 'false'],
  ['status.submoduleSummary', 'false'],
  ['status.relativePaths', 'false'],
  ['submodule.recurse', 'false'],
  ['log.showSignature', 'false'],
  ['gpg.program', 'false'],
  ['gpg.openpgp.program', 'false'],
  ['gpg.x509.program', 'false'],
  ['gpg.ssh.program', 'false'],
  ['gpg.ssh.defaultKeyCommand', 'false'],
  ['mailmap.file', '/dev/null'],
  ['apply.ignoreWhitespace', 'no'],
  ['apply.whitespace', 'nowarn'],
  ['protocol.allow', 'never'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  // What is committed, merged and exchanged is what was asked for, signed by nobody.
  ['commit.gpgSign', 'false'],
  ['tag.gpgSign', 'false'],
  ['push.gpgSign', 'false'],
  ['commit.verbose', 'false'],
  ['commit.template', '/dev/null'],
  ['core.commentChar', '#'],
  ['i18n.commitEncoding', 'UTF-8'],
  ['push.followTags', 'false'],
  ['push.pushOption', ''],
  ['push.recurseSubmodules', 'no'],
  ['fetch.recurseSubmodules', 'false'],
  ['fetch.prune', 'false'],
  ['fetch.pruneTags', 'false'],
  ['fetch.writeCommitGraph', 'false'],
  ['fetch.output', 'full'],
  ['transfer.bundleURI', 'false'],
  ['merge.default', 'text'],
  ['merge.autoStash', 'false'],
  ['merge.verifySignatures', 'false'],
  ['rebase.autoStash', 'false'],
  ['rebase.autoSquash', 'false'],
  ['rebase.updateRefs', 'false'],
  ['rerere.enabled', 'false'],
  ['checkout.guess', 'true'],
  ['blame.coloring', 'none'],
  ['blame.date', 'iso'],
  ['blame.showEmail', 'false'],
  ['blame.showRoot', 'false'],
  ['blame.blankBoundary', 'false'],
  ['blame.markIgnoredLines', 'false'],
  ['blame.markUnblamableLines', 'false'],
]

/** Keys with a name in the middle, and what makes each harmless. An empty filter or text conversion is none; `false` fails. */
const DRIVERS: [RegExp, string][] = [
  [/^filter\..+\.(clean|smudge|process)$/s, ''],
  [/^filter\..+\.required$/s, 'false'],
  [/^diff\..+\.(command|textconv)$/s, ''],
  [/^merge\..+\.driver$/s, 'false'],
  [/^credential\..+\.helper$/s, ''],
  [/^gpg\..+\.(program|defaultkeycommand)$/s, 'false'],
  [/^protocol\..+\.allow$/s, 'never'],
  [/^(remote\..+\.(uploadpack|receivepack)|remote\..+\.vcs)$/s, 'false'],
  [/^remote\..+\.(mirror|prune|prunetags)$/s, 'false'],
  [/^remote\..+\.(proxy|pushoption|serveroption)$/s, ''],
  // Options for `git merge`, strategies (programs) among them.
  [/^branch\..+\.mergeoptions$/s, ''],
  [/^branch\..+\.rebase$/s, 'false'],
]

/**
 * The environment that takes the teeth out of a configuration with these keys (as `git config --list --name-only` prints them).
 * @param more settings that have the last word, after all of these
 * @throws ToolError git_repo_error when there are too many
 */
export function overridesFor(keys: string[], more: [string, string][] = []): Record<string, string> {
  const drivers = new Map<string, string>()
  for (const key of keys) {
    const harmless = DRIVERS.find(([pattern]) => pattern.test(key))
    if (harmless) drivers.set(key, harmless[1])
  }
  if (drivers.size > MAX_OVERRIDES)
    throw new ToolError(
      'git_repo_error',
      `the repository's configuration names ${drivers.size} programs; at most ${MAX_OVERRIDES} are accepted`,
    )
  const pairs = [...FIXED, ...drivers, ...more]
  const environment: Record<string, string> = { GIT_CONFIG_COUNT: String(pairs.length) }
  for (const [index, [key, value]] of pairs.entries()) {
    environment[`GIT_CONFIG_KEY_${index}`] = key
    environment[`GIT_CONFIG_VALUE_${index}`] = value
  }
  return environment
}
