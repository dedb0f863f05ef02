import { z } from 'zod'

export const changedFileSchema = z.object({
  path: z.string(),
  status: z.enum(['added', 'modified', 'deleted', 'renamed', 'copied', 'type_changed', 'unmerged', 'untracked']),
  index_status: z.string().optional().describe("Git's letter for the index against HEAD."),
  worktree_status: z.string().optional().describe("Git's letter for the working tree against the index."),
  staged: z.boolean(),
  unstaged: z.boolean(),
  untracked: z.boolean(),
  deleted: z.boolean(),
  renamed_from: z.string().optional().describe('Also of a copy.'),
})

export type ChangedFile = z.infer<typeof changedFileSchema>

const STATUS: Record<string, ChangedFile['status']> = {
  A: 'added',
  M: 'modified',
  D: 'deleted',
  R: 'renamed',
  C: 'copied',
  T: 'type_changed',
  U: 'unmerged',
  '?': 'untracked',
}

const UNMERGED = /^(?:DD|AU|UD|UA|DU|AA|UU)$/

/** `git status --porcelain=v1 -z`: two letters, a blank, the path, and of a rename the old path after it. Pure. */
export function readStatus(output: string): ChangedFile[] {
  const fields = output.split('\0')
  const files: ChangedFile[] = []
  for (let at = 0; at < fields.length; at++) {
    const field = fields[at] ?? ''
    if (field.length < 4) continue
    const letters = field.slice(0, 2)
    files.push(fromLetters(letters, field.slice(3), /[RC]/.test(letters) ? fields[++at] : undefined))
  }
  return files
}

/** `git diff --name-status -z`: a letter (with a score), the path, or the old and the new one. Pure. */
export function readNameStatus(output: string): ChangedFile[] {
  const fields = output.split('\0')
  const files: ChangedFile[] = []
  for (let at = 0; at + 1 < fields.length; ) {
    const letter = (fields[at++] ?? '').slice(0, 1)
    const from = /[RC]/.test(letter) ? fields[at++] : undefined
    files.push(fromLetter(letter, fields[at++] ?? '', from))
  }
  return files
}

/** What somebody copied: lines of `git status --short`, or of `git diff --name-status`. Other lines are passed over. Pure. */
export function readProvided(output: string): ChangedFile[] {
  return output.split('\n').flatMap((line) => {
    const tabs = /^([AMDTU]|[RC]\d{0,3})\t([^\t]+)(?:\t([^\t]+))?$/.exec(line)
    if (tabs) {
      const [, letter = '', first = '', second] = tabs
      return [fromLetter(letter.slice(0, 1), unquoted(second ?? first), second === undefined ? undefined : unquoted(first))]
    }
    const short = /^([ MADRCTU?]{2}) (\S.*)$/.exec(line)
    if (!short || short[1] === '  ' || (short[1]?.includes('?') && short[1] !== '??')) return []
    const [from, to] = /[RC]/.test(short[1] ?? '') ? (short[2] ?? '').split(' -> ') : [undefined, short[2]]
    return [
      fromLetters(
        short[1] ?? '',
        unquoted(to ?? from ?? ''),
        to === undefined || from === undefined ? undefined : unquoted(from),
      ),
    ]
  })
}

function fromLetters(letters: string, path: string, from: string | undefined): ChangedFile {
  const [index = ' ', worktree = ' '] = letters
  const untracked = letters === '??'
  const telling = index === ' ' ? worktree : index
  return {
    path,
    status: UNMERGED.test(letters) ? 'unmerged' : (STATUS[telling] ?? 'modified'),
    ...(index !== ' ' && !untracked && { index_status: index }),
    ...(worktree !== ' ' && !untracked && { worktree_status: worktree }),
    staged: index !== ' ' && !untracked,
    unstaged: worktree !== ' ' && !untracked,
    untracked,
    deleted: letters.includes('D'),
    ...(from !== undefined && { renamed_from: from }),
  }
}

function fromLetter(letter: string, path: string, from: string | undefined): ChangedFile {
  return {
    path,
    status: STATUS[letter] ?? 'modified',
    staged: false,
    unstaged: false,
    untracked: false,
    deleted: letter === 'D',
    ...(from !== undefined && { renamed_from: from }),
  }
}

/** Git quotes names with blanks or special characters; only the quotes and `\"` are undone. */
function unquoted(path: string): string {
  return /^".*"$/.test(path) ? path.slice(1, -1).replace(/\\(["\\])/g, '$1') : path
}
