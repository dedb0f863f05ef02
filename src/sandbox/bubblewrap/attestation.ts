import { readFileSync } from 'node:fs'
import type { Isolation } from '../../domain/session.ts'
import { namespaceOf } from './process-identity.ts'

const NAMESPACES = { user: 'user', mnt: 'mount', pid: 'pid', net: 'net', ipc: 'ipc', uts: 'uts', cgroup: 'cgroup' } as const

/**
 * What isolation a sandbox got, read from outside from its first process, after it began: nothing is attested because it was
 * asked for. Throws when a namespace, the filter or no_new_privs is missing that every sandbox must have.
 */
export function attest(
  pid: number,
  wanted: { network: 'none' | 'host'; uid: 'own' | 'shared'; limits: Isolation['limits'] },
): Isolation {
  const names = Object.keys(NAMESPACES) as (keyof typeof NAMESPACES)[]
  const own = names.filter((name) => namespaceOf(pid, name) !== namespaceOf('self', name))
  const missing = names.filter((name) => !own.includes(name) && !(name === 'net' && wanted.network === 'host'))
  if (missing.length > 0) throw new Error(`the sandbox shares namespaces with the machine: ${missing.join(', ')}`)
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1]
  if (field('Seccomp') !== '2') throw new Error('the sandbox runs without its seccomp filter')
  if (field('NoNewPrivs') !== '1') throw new Error('the sandbox could gain privileges')
  for (const set of ['CapEff', 'CapPrm', 'CapBnd', 'CapAmb'])
    if (!/^0+$/.test(field(set) ?? '')) throw new Error(`the sandbox holds capabilities (${set} ${field(set)})`)
  return {
    level: 'namespaces',
    namespaces: own.map((name) => NAMESPACES[name]),
    network: own.includes('net') ? 'none' : 'host',
    seccomp: true,
    no_new_privileges: true,
    uid: wanted.uid,
    limits: wanted.limits,
  }
}
