import type { Stats } from 'node:fs'
import type { EntryType, FileEntry } from '../wire.ts'

export function entryType(stats: Stats): EntryType {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'dir'
  return stats.isSymbolicLink() ? 'symlink' : 'other'
}

export function describe(path: string, stats: Stats): FileEntry {
  return {
    path,
    type: entryType(stats),
    size_bytes: stats.size,
    mode: (stats.mode & 0o7777).toString(8).padStart(4, '0'),
    modified_at: stats.mtime.toISOString(),
  }
}
