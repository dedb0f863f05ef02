import type { Command } from 'commander'
import { contextOf } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { Output } from '../output.ts'

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('what this machine can do for sandboxes, what is missing, and what mends it (needs no server)')
    .addHelpText('after', '\nExits with 7 when no sandbox could be started here.\n\nExample:\n  cloister doctor')
    .action(async (_options: object, command: Command) => {
      const { out } = contextOf(command)
      const { doctor } = await import('../../main.ts')
      const drivers = await doctor()
      if (out.json) out.result({ drivers }, () => '')
      else for (const driver of drivers) printDriver(out, driver)
      if (!drivers.some((driver) => driver.usable && driver.kind !== 'process')) process.exitCode = EXIT.unavailable
    })
}

type Driver = Awaited<ReturnType<typeof import('../../main.ts')['doctor']>>[number]

function printDriver(out: Output, driver: Driver): void {
  out.styledLine([
    [driver.kind, 'bold'],
    [driver.usable ? '  usable' : '  not usable', driver.usable ? 'green' : 'red'],
  ])
  for (const check of driver.checks) {
    const mark = check.ok
      ? (['  ok    ', 'green'] as const)
      : check.required
        ? (['  MISSING', 'red'] as const)
        : (['  weaker ', 'yellow'] as const)
    out.styledLine([[mark[0].padEnd(10), mark[1]], [`${check.name}: ${check.detail}`]])
    if (!check.ok && check.fix) out.styledLine([[`            mend it: ${check.fix}`]])
  }
  if (driver.isolation) {
    const { level, namespaces, network, seccomp, uid, limits } = driver.isolation
    const spaces = namespaces.length > 0 ? ` (${namespaces.join(', ')})` : ''
    out.styledLine([
      [
        `  a sandbox started now: isolation ${level}${spaces}, network ${network}, seccomp ${seccomp ? 'on' : 'off'}, uid ${uid}, ` +
          `limits: memory ${limits.memory}, cpus ${limits.cpus}, pids ${limits.pids}`,
      ],
    ])
  }
}
