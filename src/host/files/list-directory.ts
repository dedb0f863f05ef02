import { closeSync, constants, lstatSync, opendirSync, openSync, readlinkSync, type Stats } from 'node:fs'
import type { Fields } from '../fields.ts'
import { errnoOf, fromSystemError, HostFailure } from '../host-failure.ts'
import { attempt, descriptorPath, isGit, openChecked, type RealScope, realScope } from '../safe-path.ts'
import { isUnder, type SessionRoot } from '../session-root.ts'
import type { FileEntry, ListResult } from '../wire.ts'
import { Breather } from './breather.ts'
import { describe } from './describe.ts'

/** Names kept of one directory. A larger one is answered as truncated. */
const MAX_NAMES = 100_000

interface Listing {
  scope: RealScope
  recursive: boolean
  maxEntries: number
  skipGit: boolean
  entries: FileEntry[]
  truncated: boolean
  breather: Breather
}

export async function listDirectory(root: SessionRoot, fields: Fields): Promise<ListResult> {
  const asked = fields.scope()
  const scope = realScope(root, asked)
  const found = openChecked(scope)
  try {
    if (!found.stats.isDirectory()) throw new HostFailure('not_a_directory', `${JSON.stringify(asked.path)} is not a directory`)
    const listing: Listing = {
      scope,
      recursive: fields.boolean('recursive'),
      maxEntries: fields.integer('max_entries', 1, 100_000),
      skipGit: fields.boolean('skip_git') && !found.path.slice(scope.session.length).split('/').some(isGit),
      entries: [],
      truncated: false,
      breather: new Breather(),
    }
    await collect(listing, found.fd, Buffer.from(asked.path.replace(/(.)\/+$/, '$1')))
    return { entries: listing.entries, truncated: listing.truncated }
  } finally {
    closeSync(found.fd)
  }
}

/**
 * Depth first in the order of whole paths: a directory's own entry sorts by its name, what is in it by its name with a slash, so
 * that `a`, `a-b`, `a/x` come in bytewise order and the listing can stop at its limit.
 */
async function collect(listing: Listing, directory: number, shown: Buffer): Promise<void> {
  const items: { key: Buffer; name: Buffer; stats?: Stats; descend: boolean }[] = []
  for (const name of readNames(listing, directory)) {
    if (listing.skipGit && isGit(name.toString())) continue
    const stats = statEntry(directory, name)
    if (!stats) continue
    items.push({ key: name, name, stats, descend: false })
    if (listing.recursive && stats.isDirectory()) items.push({ key: Buffer.concat([name, SLASH]), name, descend: true })
  }
  items.sort((a, b) => Buffer.compare(a.key, b.key))
  for (const item of items) {
    if (listing.truncated) return
    const path = Buffer.concat([shown, SLASH, item.name])
    if (item.descend) {
      await descend(listing, directory, item.name, path)
    } else if (item.stats) {
      if (listing.entries.length === listing.maxEntries) listing.truncated = true
      else listing.entries.push(describe(path.toString(), item.stats))
    }
  }
}

const SLASH = Buffer.from('/')

async function descend(listing: Listing, directory: number, name: Buffer, shown: Buffer): Promise<void> {
  let child: number
  try {
    child = openSync(
      under(directory, name),
      constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
  } catch (error) {
    // Unreadable, gone or replaced since it was listed: its own entry stands, what is in it is not known.
    if (['EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return
    throw fromSystemError(error, listing.scope.asked)
  }
  try {
    const path = readlinkSync(descriptorPath(child))
    // The secrets' mount point, when a root lies above it; or a directory that was moved out while we walked.
    if (isUnder(path, listing.scope.secrets) || !listing.scope.roots.some((root) => isUnder(path, root))) return
    await listing.breather.pause()
    await collect(listing, child, shown)
  } finally {
    closeSync(child)
  }
}

function readNames(listing: Listing, directory: number): Buffer[] {
  const names: Buffer[] = []
  const opened = attempt(listing.scope.asked, () =>
    opendirSync(descriptorPath(directory), { encoding: 'buffer' as BufferEncoding, bufferSize: 512 }),
  )
  try {
    for (let entry = opened.readSync(); entry; entry = opened.readSync()) {
      if (names.length === MAX_NAMES) {
        listing.truncated = true
        break
      }
      names.push(entry.name as unknown as Buffer)
    }
  } finally {
    opened.closeSync()
  }
  return names
}

function statEntry(directory: number, name: Buffer): Stats | undefined {
  try {
    return lstatSync(under(directory, name))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const under = (directory: number, name: Buffer): Buffer => Buffer.concat([Buffer.from(`${descriptorPath(directory)}/`), name])
