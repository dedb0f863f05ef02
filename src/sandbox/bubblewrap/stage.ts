import { chmodSync, mkdirSync } from 'node:fs'

/** Where a root server's private mount namespace shows what it binds. Outside it, an empty directory. */
const STAGE = '/run/cloister'

/**
 * Makes what bwrap binds reachable for the uid that it runs as. bwrap opens every source by its path, also the ones that it is
 * given as descriptors (0.8), and a root server's files lie below directories that only root may pass. So root binds each source
 * under one directory that everybody may pass, in a mount namespace of this start's own, and bwrap is started in there.
 * An ordinary user's sandboxes run as that user: nothing is staged, every source is its own place.
 */
export class Stage {
  readonly #places = new Map<string, string>()
  readonly #enabled: boolean

  constructor(enabled: boolean) {
    this.#enabled = enabled
  }

  /** Where bwrap finds this file or directory. */
  place(source: string): string {
    if (!this.#enabled || source.startsWith('/usr/') || source === '/usr') return source
    const known = this.#places.get(source)
    if (known !== undefined) return known
    const place = `${STAGE}/${this.#places.size}`
    this.#places.set(source, place)
    return place
  }

  /** The same for what lies in a directory of which much is bound. */
  placeUnder(directory: string, source: string): string {
    return `${this.place(directory)}${source.slice(directory.length)}`
  }

  /**
   * The command that starts bwrap. As root: makes the mounts, becomes `uid` for good, and then is bwrap.
   * @param uid null: as the server's own user
   */
  command(bwrap: string, args: string[], uid: number | null): { file: string; args: string[] } {
    if (uid === null) return { file: bwrap, args }
    const become = [
      'setpriv',
      '--reuid',
      `${uid}`,
      '--regid',
      `${uid}`,
      '--clear-groups',
      '--inh-caps=-all',
      '--',
      bwrap,
      ...args,
    ]
    const [file, ...rest] = become
    if (!this.#enabled || file === undefined) return { file: 'setpriv', args: rest }
    mkdirSync(STAGE, { recursive: true })
    // mkdir's mode is subject to the umask.
    chmodSync(STAGE, 0o711)
    const places = [...this.#places].flat()
    return {
      file: 'unshare',
      args: [
        '--mount',
        '--propagation',
        'private',
        '--',
        '/bin/sh',
        '-c',
        MOUNT,
        'stage',
        STAGE,
        `${this.#places.size}`,
        ...places,
        ...become,
      ],
    }
  }
}

/** Everything it is told comes as positional parameters. */
const MOUNT = `
set -e
mount -t tmpfs -o mode=0711,size=1m,nosuid,nodev,noexec cloister "$1"
left=$2
shift 2
while [ "$left" -gt 0 ]; do
  if [ -d "$1" ]; then mkdir "$2"; else : > "$2"; fi
  mount --rbind -- "$1" "$2"
  shift 2
  left=$((left - 1))
done
exec "$@"
`
