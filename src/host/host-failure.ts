import type { HostErrorCode } from './wire.ts'

/** Why host refuses a request; becomes a `HostErrorBody`. Anything else that is thrown is answered as `internal`. */
export class HostFailure extends Error {
  readonly code: HostErrorCode

  constructor(code: HostErrorCode, message: string) {
    super(message)
    this.name = 'HostFailure'
    this.code = code
  }
}

export const HTTP_STATUS: Record<HostErrorCode, number> = {
  unauthorized: 401,
  stale_epoch: 409,
  invalid_argument: 400,
  not_found: 404,
  path_denied: 403,
  is_directory: 409,
  not_a_directory: 409,
  exists: 409,
  changed: 409,
  too_large: 413,
  internal: 500,
}

const BY_ERRNO: Record<string, [HostErrorCode, string]> = {
  ENOENT: ['not_found', 'there is no such file or directory'],
  ENOTDIR: ['not_a_directory', 'a part of the path is not a directory'],
  EISDIR: ['is_directory', 'it is a directory'],
  EEXIST: ['exists', 'it exists already'],
  ENOTEMPTY: ['exists', 'the directory is not empty'],
  ELOOP: ['path_denied', 'it is a symbolic link, or leads through too many of them'],
  EACCES: ['invalid_argument', 'its permissions do not allow it'],
  EPERM: ['invalid_argument', 'the file system does not permit it'],
  EROFS: ['invalid_argument', 'the file system is read-only'],
  EBUSY: ['invalid_argument', 'it is in use (a mount point)'],
  EXDEV: ['invalid_argument', 'source and destination are on different file systems'],
  EINVAL: ['invalid_argument', 'a directory cannot be moved into itself'],
  ENXIO: ['invalid_argument', 'it is not a regular file'],
  ENAMETOOLONG: ['invalid_argument', 'the name is too long'],
  ENOSPC: ['too_large', 'no space is left on the volume'],
  EDQUOT: ['too_large', 'the quota of the volume is used up'],
  EFBIG: ['too_large', 'the file would be too large'],
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** A refusal that names `path` as the caller wrote it, never a path of /proc or of the machine. */
export function fromSystemError(error: unknown, path: string): HostFailure {
  if (error instanceof HostFailure) return error
  const errno = errnoOf(error)
  const known = errno === undefined ? undefined : BY_ERRNO[errno]
  if (known) return new HostFailure(known[0], `${JSON.stringify(path)}: ${known[1]}`)
  return new HostFailure('internal', `${JSON.stringify(path)}: ${errno ?? 'unexpected failure'}`)
}
