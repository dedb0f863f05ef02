import type { Fields } from './fields.ts'
import { digestTree } from './files/digest-tree.ts'
import { listDirectory } from './files/list-directory.ts'
import { copyFile, moveFile, removeFile } from './files/move-file.ts'
import { readFile, statFile } from './files/read-file.ts'
import { keepFile, restoreFile } from './files/restore-file.ts'
import { makeDirectory, writeFile } from './files/write-file.ts'
import type { SessionRoot } from './session-root.ts'

type FileQuery = (root: SessionRoot, fields: Fields) => object | Promise<object>

/** `/files/<name>` that change nothing. */
export const FILE_QUERIES: Readonly<Record<string, FileQuery>> = {
  list: listDirectory,
  stat: statFile,
  read: readFile,
  digest: digestTree,
}

/** `/files/<name>` that have an effect, once for each id. */
export const FILE_CHANGES: Readonly<Record<string, FileQuery>> = {
  write: writeFile,
  mkdir: makeDirectory,
  move: moveFile,
  copy: copyFile,
  remove: removeFile,
  keep: keepFile,
  restore: restoreFile,
}
