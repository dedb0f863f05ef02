import { type ChildProcess, spawn } from 'node:child_process'
import { PassThrough } from 'node:stream'
import { errors } from '../../domain/errors.ts'

/** Characters of an error's text that are kept. */
const STDERR_TAIL = 2000

/** Streams a tar of regular files, directories and symlinks (as symlinks); setuid bits are stripped, special files left out. */
export function archiveOf(source: string): { stream: NodeJS.ReadableStream; done: Promise<void>; abort: () => void } {
  const find = spawn('find', ['.', '(', '-type', 'f', '-o', '-type', 'd', '-o', '-type', 'l', ')', '-print0'], {
    cwd: source,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const tar = spawn(
    'tar',
    ['--create', '--file=-', '--no-recursion', '--null', '--verbatim-files-from', '--files-from=-', '--mode=a-s'],
    {
      cwd: source,
      stdio: [find.stdout, 'pipe', 'pipe'],
    },
  )
  // tar has it now: our end would keep `find` from closing for ever.
  find.stdout.destroy()
  // A file that vanished while it was read is no reason to fail (tar: 1).
  const done = Promise.all([ended(find, [0, 1]), ended(tar, [0, 1])]).then(() => undefined)
  done.catch(() => undefined)
  return {
    // Read from now on: what a process that has ended wrote, and nobody reads yet, is thrown away by Node.
    stream: (tar.stdout as NodeJS.ReadableStream).pipe(new PassThrough()),
    done,
    abort: () => {
      find.kill('SIGKILL')
      tar.kill('SIGKILL')
    },
  }
}

function ended(child: ChildProcess, accepted: number[]): Promise<void> {
  let stderr = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-STDERR_TAIL)
  })
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(errors.internal(`${child.spawnfile} could not be started`, error)))
    child.on('close', (code) => {
      if (code !== null && accepted.includes(code)) resolve()
      else reject(errors.conflict(`the source could not be read: ${stderr.trim() || `${child.spawnfile} ended with ${code}`}`))
    })
  })
}
