import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { parsePatch, patchPaths } from './patch-paths.ts'

const hunk = '@@ -1 +1 @@\n-a\n+b\n'

const named: [string, string, string[]][] = [
  ['a plain patch', `--- a/x.ts\n+++ b/x.ts\n${hunk}`, ['x.ts']],
  ['a git patch', `diff --git a/x.ts b/x.ts\nindex 1..2 100644\n--- a/x.ts\n+++ b/x.ts\n${hunk}`, ['x.ts']],
  ['a new file', `diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+b\n`, ['n']],
  ['a new empty file', 'diff --git a/n b/n\nnew file mode 100644\nindex 0000000..e69de29\n', ['n']],
  ['a new file without git headers', `--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+b\n`, ['n']],
  ['a deleted file', `diff --git a/d b/d\ndeleted file mode 100644\n--- a/d\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n`, ['d']],
  ['a rename', 'diff --git a/old b/src/new\nsimilarity index 100%\nrename from old\nrename to src/new\n', ['old', 'src/new']],
  ['a copy', 'diff --git a/old b/../new\nsimilarity index 100%\ncopy from old\ncopy to ../new\n', ['../new', 'old']],
  ['a mode change', 'diff --git a/run me b/run me\nold mode 100644\nnew mode 100755\n', ['run me']],
  [
    'a mode change of a quoted name',
    'diff --git "a/t\\tb\\303\\251" "b/t\\tb\\303\\251"\nold mode 100644\nnew mode 100755\n',
    ['t\tb\u00e9'],
  ],
  ['two files', `--- a/x\n+++ b/x\n${hunk}--- a/.git/config\n+++ b/.git/config\n${hunk}`, ['.git/config', 'x']],
  ['a removed line that looks like a header', '--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n a\n--- a/secret\n', ['x']],
  ['text around it', `From: me\n\nSubject\n---\n x | 2 +-\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n${hunk}-- \n2.39.5\n`, ['x']],
  ['a time stamp after a tab', `--- a/x\t2020-01-01 00:00:00 +0000\n+++ b/x\t2020-01-02 00:00:00 +0000\n${hunk}`, ['x']],
  ['double slashes', `--- a/x//y\n+++ b/x//y\n${hunk}`, ['x/y']],
  ['a quoted rename', 'diff --git "a/o\\"" b/n\nrename from "o\\""\nrename to n\n', ['n', 'o"']],
  [
    'no newline at the end',
    '--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n',
    ['x'],
  ],
]

const refused: [string, string, RegExp][] = [
  ['nothing', '', /names no file/],
  ['prose', 'please change x', /names no file/],
  ['a loose hunk', hunk, /header before it/],
  ['no prefix', `--- src/x.ts\n+++ src/x.ts\n${hunk}`, /prefix "a\/" or "b\/"/],
  ['an absolute path', `--- a//etc/passwd\n+++ b//etc/passwd\n${hunk}`, /not a path relative/],
  ['an absolute rename', 'diff --git a/x b/y\nrename from x\nrename to /etc/passwd\n', /not a path relative/],
  ['two names', `--- a/x\n+++ b/y\n${hunk}`, /must name the same file/],
  ['names that disagree', `diff --git a/x b/y\nrename from x\nrename to y\n--- a/x\n+++ b/z\n${hunk}`, /another file/],
  ['no name at all', 'diff --git a/x b/y\nold mode 100644\nnew mode 100755\n', /without a file name/],
  [
    'a mode that comes after its /dev/null',
    `diff --git a/x b/x\n--- a/x\n+++ /dev/null\ndeleted file mode 100644\n@@ -1 +0,0 @@\n-b\n`,
    /deleted file mode 100644" before it/,
  ],
  ['/dev/null without a mode', `diff --git a/x b/x\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+b\n`, /new file mode/],
  ['a short hunk', '--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-a\n+b\n', /fewer lines/],
  ['a long hunk', '--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n+c\n', /more lines/],
  [
    'a header hidden in a hunk',
    `--- a/x\n+++ b/x\n@@ -1 +1,9 @@\n-a\n+b\ndiff --git a/y b/y\n--- a/y\n+++ b/y\n${hunk}`,
    /must start with/,
  ],
  ['an open quote', `--- "a/x\n+++ b/x\n${hunk}`, /closing quote/],
  ['bytes that are not UTF-8', `--- "a/\\377"\n+++ "b/\\377"\n${hunk}`, /UTF-8/],
  ['a time stamp after a blank', `--- a/x 2020-01-01 00:00:00\n+++ b/x 2020-01-01 00:00:00\n${hunk}`, /by a tab/],
  ['a control character', `--- a/x\u0001\n+++ b/x\u0001\n${hunk}`, /control character/],
]

describe('patchPaths', () => {
  it.each(named)('reads %s', (_, patch, paths) => {
    expect(patchPaths(patch)).toEqual({ paths })
  })

  it.each(refused)('refuses %s', (_, patch, reason) => {
    expect(patchPaths(patch)).toEqual({ error: expect.stringMatching(reason) })
  })

  it('tells the modes of what a patch leaves behind', () => {
    const link =
      'diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n'
    expect(parsePatch(link)).toEqual({ files: [{ old_path: null, new_path: 'l', modes: [0o120000] }] })
    const gone = 'diff --git a/l b/l\ndeleted file mode 120000\nindex 1..0\n--- a/l\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n'
    expect(parsePatch(gone)).toEqual({ files: [{ old_path: 'l', new_path: null, modes: [] }] })
  })
})

describe('patchPaths beside git', () => {
  const folder = mkdtempSync(join(tmpdir(), 'patch-paths-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** The paths that git itself would write, or null if it cannot read the patch. */
  function gitPaths(patch: string): string[] | null {
    try {
      const options = { cwd: folder, input: patch, stdio: ['pipe', 'pipe', 'ignore'] as ('pipe' | 'ignore')[] }
      const out = execFileSync('git', ['apply', '--numstat', '-z', '-p1', '-'], options).toString()
      return out.split('\0').flatMap((entry) => entry.split('\t').slice(2).join('\t') || [])
    } catch {
      return null
    }
  }

  it('reads the patches of the table as git does', () => {
    for (const [what, patch, paths] of named) for (const path of gitPaths(patch) ?? []) expect(paths, what).toContain(path)
  })

  it('misses no path that git would write, whatever the patch is made of', () => {
    const lines = fc.constantFrom(
      'diff --git a/x b/x',
      'diff --git a/x b/y',
      'diff --git a/x y b/x y',
      'diff --git "a/q" b/q',
      'new file mode 100644',
      'deleted file mode 100644',
      'old mode 100644',
      'new mode 100755',
      'rename from x',
      'rename to y',
      'copy from x',
      'copy to .git/z',
      'index 123..456 100644',
      '--- a/x',
      '+++ b/x',
      '--- /dev/null',
      '+++ /dev/null',
      '--- "a/\\170"',
      '+++ b/z/y\t',
      '--- a/y 10:20',
      '+++ b/y',
      '@@ -1 +1 @@',
      '@@ -1,2 +1 @@',
      '@@ -0,0 +1 @@',
      '@@ -1 +0,0 @@',
      '-a',
      '+b',
      ' c',
      '',
      '\\ No newline at end of file',
      '-- ',
      'text',
    )
    let read = 0
    fc.assert(
      fc.property(fc.array(lines, { minLength: 2, maxLength: 9 }), (chosen) => {
        const patch = `${chosen.join('\n')}\n`
        const ours = patchPaths(patch)
        if ('error' in ours) return
        read++
        for (const path of gitPaths(patch) ?? []) expect(ours.paths).toContain(path)
      }),
      { numRuns: 2500 },
    )
    expect(read).toBeGreaterThan(50)
  })
})
