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
   * The command that starts bwrap: closes every descriptor but bwrap's own (whatever this process inherited or has open for a
   * moment, none reaches a sandbox), as root makes the mounts and becomes `uid` for good, and then is bwrap.
   * @param uid null: as the server's own user
   * @param lastDescriptor the highest one that bwrap is given
   */
  command(args: string[], uid: number | null, lastDescriptor: number): { file: string; args: string[] } {
    // On a socket for its standard input bash takes itself for a remote shell, and reads the user's .bashrc unless told not to.
    const start = ['--norc', '--noprofile', '-c', START, 'stage', `${lastDescriptor}`]
    if (uid === null) return { file: 'bash', args: [...start, '', '0', 'bwrap', ...args] }
    mkdirSync(STAGE, { recursive: true })
    // mkdir's mode is subject to the umask.
    chmodSync(STAGE, 0o711)
    const become = ['setpriv', '--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups', '--inh-caps=-all', '--', 'bwrap']
    const places = [...this.#places].flat()
    return {
      file: 'unshare',
      args: [
        ...'--mount --propagation private -- bash'.split(' '),
        ...start,
        STAGE,
        `${this.#places.size}`,
        ...places,
        ...become,
        ...args,
      ],
    }
  }
}

/** Everything it is told comes as positional parameters. bash, because the plain shell closes no descriptor above 9. */
const START = `
set -e
for fd in /proc/self/fd/*; do
  fd=\${fd##*/}
  if ((fd > $1)); then exec {fd}>&-; fi
done
stage=$2
left=$3
shift 3
if [ -n "$stage" ]; then mount -t tmpfs -o mode=0711,size=1m,nosuid,nodev,noexec cloister "$stage"; fi
while ((left > 0)); do
  if [ -d "$1" ]; then mkdir "$2"; else : > "$2"; fi
  mount --rbind -- "$1" "$2"
  shift 2
  left=$((left - 1))
done
exec "$@"
`
