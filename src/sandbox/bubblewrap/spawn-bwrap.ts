import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { z } from 'zod'
import { DESCRIPTORS } from './bwrap-arguments.ts'
import { bootId, type ProcessIdentity, sendKill, startTime } from './process-identity.ts'

/** Where the server looks for bwrap and its helpers: never in what its own PATH happens to be. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface BwrapSpawn {
  file: string
  args: string[]
  /** Host's listening socket. */
  listenFd: number
  /** A file for what bwrap and host write to their stdout and stderr. */
  logFd: number
  /** The filter's file: opened afresh for each start, because reading moves its position. */
  seccompPath: string
  /** Milliseconds until bwrap must have made its namespaces. */
  timeoutMs: number
}

/** A sandbox whose first process waits, before its first instruction of ours, to be released. */
export interface BlockedSandbox {
  /** bwrap itself, outside. Its death leaves the sandbox running. */
  outer: ChildProcess
  outerPid: number
  /** The first process of the PID namespace, seen from outside. */
  init: ProcessIdentity
  /** Lets it go on, and gives host its boot line. */
  release(boot: string): Promise<void>
  /** Kills it as long as it was not released. */
  abort(): void
}

/**
 * Spawns bwrap detached (the sandbox lives on when the server dies) and waits until it has made its namespaces. If the server
 * dies before the release, the first process goes on, and ends, because it is given nothing to do.
 * Throws, leaving no process behind.
 */
export async function spawnBwrap(request: BwrapSpawn): Promise<BlockedSandbox> {
  const filter = openSync(request.seccompPath, 'r')
  let outer: ChildProcess
  try {
    const stdio: (number | 'pipe')[] = ['pipe', request.logFd, request.logFd]
    stdio[DESCRIPTORS.listen] = request.listenFd
    stdio[DESCRIPTORS.info] = 'pipe'
    stdio[DESCRIPTORS.block] = 'pipe'
    stdio[DESCRIPTORS.seccomp] = filter
    outer = spawn(request.file, request.args, {
      cwd: '/',
      detached: true,
      env: { PATH: SYSTEM_PATH, LC_ALL: 'C' },
      stdio,
    })
  } finally {
    closeSync(filter)
  }
  const block = pipe(outer, DESCRIPTORS.block)
  const info = pipe(outer, DESCRIPTORS.info)
  // What breaks a pipe is the end of bwrap, which is noticed as such.
  for (const stream of [block, info, pipe(outer, 0)]) stream.on('error', () => undefined)
  // Before its session is its own, the first process is in bwrap's group.
  const abort = () => {
    if (outer.pid !== undefined && outer.exitCode === null && outer.signalCode === null) sendKill(-outer.pid)
  }
  try {
    const { pid, namespace } = await readInfo(outer, info, request.timeoutMs)
    const start = startTime(pid)
    if (start === null || outer.pid === undefined) throw new Error(`bwrap's child ${pid} is gone`)
    const init = { pid, start_time: start, pid_namespace: namespace, boot_id: bootId() }
    return {
      outer,
      outerPid: outer.pid,
      init,
      abort,
      release: async (boot) => {
        await Promise.all([finish(block, 'x'), finish(pipe(outer, 0), boot)])
      },
    }
  } catch (error) {
    abort()
    throw error
  } finally {
    info.destroy()
  }
}

/** An end of one of the pipes that `spawn` was asked for. Node's types know only the first five. */
function pipe(child: ChildProcess, fd: number): Duplex {
  return (child.stdio as unknown as Duplex[])[fd] as Duplex
}

/**
 * Writes, and lets go: bwrap keeps its standard input for as long as it lives, which must not keep a server that wants to end.
 * Rejects when nobody reads: the sandbox ended.
 */
function finish(stream: Duplex, data: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('error', reject)
    stream.end(data, () => {
      stream.destroy()
      resolve()
    })
  })
}

const infoSchema = z.object({ 'child-pid': z.number().int().positive(), 'pid-namespace': z.number().int().positive() })

/** bwrap writes one JSON object: its child's pid, and the inodes of the new namespaces. */
function readInfo(outer: ChildProcess, info: Duplex, timeoutMs: number): Promise<{ pid: number; namespace: string }> {
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => reject(new Error(`bwrap made no namespaces within ${timeoutMs} ms`)), timeoutMs)
    const settle = (act: () => void) => {
      clearTimeout(timer)
      act()
    }
    outer.once('error', (error) => settle(() => reject(error)))
    outer.once('exit', (code, signal) => settle(() => reject(new Error(`bwrap ended with ${signal ?? code} before it began`))))
    info.on('error', (error) => settle(() => reject(error)))
    info.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (!text.includes('}')) return
      settle(() => {
        try {
          const parsed = infoSchema.parse(JSON.parse(text))
          resolve({ pid: parsed['child-pid'], namespace: `${parsed['pid-namespace']}` })
        } catch (error) {
          reject(error)
        }
      })
    })
  })
}
