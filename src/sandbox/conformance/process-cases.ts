import { describe, expect, it } from 'vitest'
import { newId } from '../../domain/ids.ts'
import { eventually, type Harness, newMarker, noneWith, processesWith, refused } from './harness.ts'

export function processCases(at: () => Harness): void {
  const start = (argv: string[], more: object = {}) =>
    at().sandbox.startProcess({ id: newId('inv'), invocation_id: newId('inv'), argv, ...more })
  const info = async (id: string) => (await at().sandbox.listProcesses()).find(({ process_id }) => process_id === id)

  describe('background processes', () => {
    it('outlive their invocation and its cancel, and are stopped by name', async () => {
      const marker = newMarker()
      const invocation_id = newId('inv')
      const id = newId('inv')
      const argv = ['bash', '-c', `echo up; echo "$TOKEN" >&2; setsid sleep ${marker} & sleep ${marker}`]
      const started = await start(argv, { id, invocation_id })
      expect(started).toMatchObject({ state: 'running', exit_code: null, command: argv.join(' ') })
      expect(await start(argv, { id, invocation_id })).toMatchObject({ process_id: started.process_id })
      await eventually(
        () => processesWith(marker),
        (pids) => pids.length === 2,
      )
      await at().exec(['true'], { invocation_id })
      await at().sandbox.cancel(invocation_id)
      expect(processesWith(marker)).toHaveLength(2)
      expect(await info(started.process_id)).toMatchObject({ state: 'running' })
      const output = await eventually(
        () => at().sandbox.processOutput(started.process_id, 0),
        ({ text }) => text.includes('hunter22'),
      )
      expect(output).toMatchObject({ text: 'up\nhunter22\n', next: 12, dropped_bytes: 0, state: 'running' })
      expect(await at().sandbox.processOutput(started.process_id, output.next)).toMatchObject({ text: '', next: 12 })
      expect(await at().sandbox.stopProcess(started.process_id, 'TERM')).toEqual({ stopped: true })
      expect(await info(started.process_id)).toMatchObject({ state: 'exited' })
      expect(await at().sandbox.stopProcess(started.process_id, 'TERM')).toEqual({ stopped: true })
      await noneWith(marker)
    })

    it('get the secrets that are named, and what is their own', async () => {
      const environment = async (more: object) => {
        const { process_id } = await start(['sh', '-c', 'env; echo end'], more)
        const printed = () => at().sandbox.processOutput(process_id, 0)
        return (await eventually(printed, ({ text }) => text.endsWith('end\n'))).text
      }
      expect(await environment({})).toContain('TOKEN=hunter22')
      expect(await environment({ secrets: ['OTHER', 'TOKEN'] })).toContain('TOKEN=hunter22')
      const none = await environment({ secrets: ['OTHER', 'PATH'], env: { OWN: 'variable', CLOISTER_INVOCATION: 'other' } })
      expect(none).toContain('OWN=variable\n')
      expect(none).not.toMatch(/hunter22|CLOISTER_INVOCATION=other/)
    })

    it('ignore what they may, but not KILL', async () => {
      const started = await start(['bash', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done'])
      await eventually(
        () => at().sandbox.processOutput(started.process_id, 0),
        ({ text }) => text === 'ready\n',
      )
      expect(await at().sandbox.stopProcess(started.process_id, 'TERM')).toEqual({ stopped: false })
      expect(await at().sandbox.stopProcess(started.process_id, 'SIGKILL')).toEqual({ stopped: true })
    })

    it('keep a bounded tail of their output', async () => {
      const started = await start(['seq', '1', '500000'])
      await eventually(
        () => info(started.process_id),
        (found) => found?.state === 'exited',
      )
      const whole = `${Array.from({ length: 500_000 }, (_, i) => i + 1).join('\n')}\n`
      let after = 0
      let text = ''
      let dropped = 0
      for (;;) {
        const part = await at().sandbox.processOutput(started.process_id, after)
        if (part.text === '') break
        text += part.text
        dropped += part.dropped_bytes
        after = part.next
      }
      expect(after).toBe(whole.length)
      expect(dropped).toBe(whole.length - text.length)
      expect(whole.endsWith(text)).toBe(true)
      expect(text.length).toBeGreaterThan(900_000)
      expect(text.length).toBeLessThanOrEqual(1024 * 1024)
    })

    it('give their output in whole characters', async () => {
      const started = await start(['bash', '-c', `printf '\\xe2\\x82'; read -t 1 < <(sleep 1); printf '\\xac.'; sleep 30`])
      await eventually(
        () => at().sandbox.processOutput(started.process_id, 0),
        ({ text }) => text === '€.',
      )
      await at().sandbox.stopProcess(started.process_id, 'KILL')
    })

    it('give nothing but whole lines to who asks for them, wherever they begin', async () => {
      const started = await start(['bash', '-c', `printf 'one\\nsecret\\nlast'; sleep 0.5; printf ' line\\nno end'`])
      const read = (after: number) => at().sandbox.processOutput(started.process_id, after, { whole_lines: true })
      const first = await eventually(
        () => read(0),
        ({ text }) => text.includes('secret'),
      )
      expect(first.text.endsWith('\n')).toBe(true)
      await eventually(
        () => info(started.process_id),
        (found) => found?.state === 'exited',
      )
      expect(await read(0)).toMatchObject({ text: 'one\nsecret\nlast line\nno end', next: 27 })
      expect(await read(6)).toMatchObject({ text: 'last line\nno end', dropped_bytes: 5 })
      expect(await read(11)).toMatchObject({ text: 'last line\nno end', dropped_bytes: 0 })
      expect(await read(25)).toMatchObject({ text: '', next: 27 })
      const long = await start(['bash', '-c', `head -c 300000 /dev/zero | tr '\\0' x; echo; echo after; sleep 30`])
      const skipped = await eventually(
        () => at().sandbox.processOutput(long.process_id, 0, { whole_lines: true }),
        ({ next }) => next > 0,
      )
      expect(skipped).toMatchObject({ text: '', dropped_bytes: skipped.next })
      const rest = await eventually(
        () => at().sandbox.processOutput(long.process_id, skipped.next, { whole_lines: true }),
        ({ text }) => text !== '',
      )
      expect(rest.text).toBe('after\n')
      await at().sandbox.stopProcess(long.process_id, 'KILL')
    })

    it('are refused when they cannot be', async () => {
      await refused(start(['no-such-program']), 'not_found')
      await refused(start([]), 'invalid_argument')
      await refused(at().sandbox.processOutput('p999', 0), 'not_found')
      await refused(at().sandbox.stopProcess('p999', 'TERM'), 'not_found')
      const started = await start(['sleep', '30'])
      await refused(at().sandbox.stopProcess(started.process_id, 'NONSENSE'), 'invalid_argument')
      await at().sandbox.stopProcess(started.process_id, 'KILL')
    })
  })
}
