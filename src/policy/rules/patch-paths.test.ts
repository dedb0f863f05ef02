import { expect, it } from 'vitest'
import { sampleRequest } from '../request.sample.ts'
import { patchPaths } from './patch-paths.ts'

const edit = (path: string) => `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-a\n+b\n`
const check = (patch: unknown, allowed_paths = ['src']) =>
  patchPaths.check(sampleRequest({ session: { allowed_paths }, tool: { policy: { patches: ['patch'] } }, args: { patch } }))

it.each([
  edit('src/a.ts'),
  edit('src/a.ts') + edit('src/b.ts'),
  'diff --git a/src/a b/src/b\nsimilarity index 100%\nrename from src/a\nrename to src/b\n',
  undefined,
])('lets %j pass', (patch) => {
  expect(check(patch)).toBeNull()
})

it.each([
  { what: 'an edit outside', patch: edit('test/a.ts') },
  { what: 'an edit outside after one inside', patch: edit('src/a.ts') + edit('test/a.ts') },
  { what: 'a rename out', patch: 'diff --git a/src/a b/out/a\nsimilarity index 100%\nrename from src/a\nrename to out/a\n' },
  { what: 'a rename in', patch: 'diff --git a/out/a b/src/a\nsimilarity index 100%\nrename from out/a\nrename to src/a\n' },
  { what: 'a copy from outside', patch: 'diff --git a/out/a b/src/a\nsimilarity index 100%\ncopy from out/a\ncopy to src/a\n' },
  { what: 'a mode change outside', patch: 'diff --git a/out/a b/out/a\nold mode 100644\nnew mode 100755\n' },
  {
    what: 'a new file outside',
    patch: 'diff --git a/out/a b/out/a\nnew file mode 100644\n--- /dev/null\n+++ b/out/a\n@@ -0,0 +1 @@\n+x\n',
  },
  {
    what: 'a deletion outside',
    patch: 'diff --git a/out/a b/out/a\ndeleted file mode 100644\n--- a/out/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n',
  },
  { what: 'a way up', patch: edit('src/../../secrets/KEY') },
  { what: 'what is no patch', patch: 'hello' },
  { what: 'an empty text', patch: '' },
])('refuses $what', ({ patch }) => {
  expect(check(patch)).toContain('patch: ')
})

it('refuses .git also where everything is allowed', () => {
  expect(check(edit('.git/config'), ['.'])).toContain('.git')
  expect(check(edit('sub/.git/hooks/x'), ['.'])).toContain('.git')
  expect(check(edit('README.md'), ['.'])).toBeNull()
})
