import { describe, expect, it } from 'vitest'
import { newId } from '../../domain/ids.ts'
import type { SandboxRecord } from '../../domain/session.ts'
import { HostClient } from '../host-client.ts'
import { SandboxLost } from '../sandbox-errors.ts'
import { eventually, Harness, newMarker, noneWith, processesWith, refused, type SandboxFixture, specFor } from './harness.ts'

export function lifecycleCases(at: () => SandboxFixture): void {
  /** A sandbox of its own, ended afterwards whatever happens. */
  async function alone(work: (harness: Harness) => Promise<void>): Promise<void> {
    const harness = await Harness.start(at(), { TOKEN: 'hunter22' })
    try {
      await work(harness)
    } finally {
      await harness.end()
    }
  }

  describe('lifecycle', () => {
    it('checks itself and attests what it gives', async () => {
      const check = await at().makeDriver().check()
      expect(check.usable).toBe(true)
      await alone(async ({ record, driver }) => {
        expect(record).toMatchObject({ kind: driver.kind, generation: 1, phase: 'running' })
        expect(record.isolation).toEqual(check.isolation)
        expect(JSON.stringify(record)).not.toContain('hunter22')
      })
    })

    it('records the intent before anything runs, and starts nothing when that fails', async () => {
      const driver = at().makeDriver()
      const sessionId = newId('ses')
      await driver.volumes.create(sessionId, { uid: at().uid, secrets: {}, staging: {} })
      const intents: SandboxRecord[] = []
      const failing = driver.start(specFor(sessionId, 7, at()), async (record) => {
        intents.push(record)
        expect(await driver.leftovers()).not.toContainEqual({ session_id: sessionId, generation: 7 })
        throw new Error('the store is away')
      })
      await expect(failing).rejects.toThrow('the store is away')
      expect(intents).toMatchObject([{ phase: 'starting', generation: 7, kind: driver.kind }])
      expect(await driver.leftovers()).not.toContainEqual({ session_id: sessionId, generation: 7 })
      expect(await driver.find(intents[0] as SandboxRecord, sessionId, 2)).toBeNull()
      await driver.volumes.destroy(sessionId)
    })

    it('refuses a floor that it does not reach', async () => {
      const driver = at().makeDriver()
      const sessionId = newId('ses')
      await driver.volumes.create(sessionId, { uid: at().uid, secrets: {}, staging: {} })
      const start = driver.start({ ...specFor(sessionId, 1, at()), isolation_floor: 'vm' }, async () => undefined)
      await expect(start).rejects.toMatchObject({ code: 'sandbox_unavailable' })
      expect(await driver.leftovers()).not.toContainEqual({ session_id: sessionId, generation: 1 })
      await driver.volumes.destroy(sessionId)
    })

    it('admits nobody without the token', async () => {
      await alone(async (harness) => {
        const address = await harness.address()
        for (const token of ['wrong', `${address.token}x`, '']) {
          const stranger = new HostClient({ ...address, token, epoch: 9 })
          await refused(stranger.health(), 'unauthorized')
          await refused(stranger.exec(harness.request(['touch', 'intruded'])), 'unauthorized')
          stranger.disconnect()
        }
        // Nor did the stranger's epoch count.
        expect(await harness.sandbox.health()).toMatchObject({ session_id: harness.sessionId, generation: 1, epoch: 1 })
        expect(await harness.sh('ls')).toBe('')
      })
    })

    it('is found again by a new server, which the old one cannot disturb', async () => {
      await alone(async (harness) => {
        const old = harness.sandbox
        const marker = newMarker()
        const request = harness.request([
          'bash',
          '-c',
          `echo before; until [ -e go ]; do sleep 0.05; done; echo after ${marker}; exit 5`,
          marker,
        ])
        const watched = old.exec(request).then(
          () => 'ended',
          (error: unknown) => (error instanceof SandboxLost || error instanceof Error ? 'cut off' : 'odd'),
        )
        await eventually(
          () => processesWith(marker),
          (pids) => pids.length > 0,
        )
        const background = await old.startProcess({ id: newId('inv'), invocation_id: newId('inv'), argv: ['sleep', marker] })

        const found = await at().makeDriver().find(harness.record, harness.sessionId, 2)
        expect(found).not.toBeNull()
        if (!found) return
        harness.sandbox = found
        expect(await found.health()).toMatchObject({ epoch: 2, generation: 1 })
        expect(await watched).toBe('cut off')
        await refused(old.health(), 'stale_epoch')
        await refused(old.exec(harness.request(['touch', 'from-the-old-one'])), 'stale_epoch')
        await refused(old.cancel(request.invocation_id), 'stale_epoch')
        old.disconnect()

        const { id, invocation_id } = request
        expect(await found.outcomes(invocation_id)).toEqual([{ id, invocation_id, kind: 'exec', state: 'running' }])
        expect(await found.outcomes('inv_never_seen')).toEqual([])
        await harness.sh('touch go')
        const outcome = await found.exec({ ...request, attach_only: true })
        expect(outcome).toMatchObject({ exit_code: 5, replayed: true })
        expect(outcome.stdout.toString()).toBe(`before\nafter ${marker}\n`)
        expect(await found.listProcesses()).toMatchObject([{ process_id: background.process_id, state: 'running' }])
        expect(await harness.sh('ls')).toBe('go\n')
      })
    })

    it('does not take another generation for its own', async () => {
      await alone(async (harness) => {
        const driver = at().makeDriver()
        expect(await driver.find({ ...harness.record, generation: 2 }, harness.sessionId, 2)).toBeNull()
        expect(await driver.find(harness.record, newId('ses'), 2)).toBeNull()
        expect(await harness.sandbox.health()).toMatchObject({ epoch: 1 })
      })
    })

    it('stops with everything that ran in it', async () => {
      const marker = newMarker()
      const harness = await Harness.start(at())
      const running = harness.exec(['bash', '-c', `setsid sleep ${marker} & sleep ${marker}`]).catch((error: unknown) => error)
      await harness.sandbox.startProcess({
        id: 'b',
        invocation_id: 'b',
        argv: ['bash', '-c', `setsid env -i sleep ${marker} & sleep ${marker}`],
      })
      await eventually(
        () => processesWith(marker),
        (pids) => pids.length === 4,
      )
      expect(await harness.driver.leftovers()).toContainEqual({ session_id: harness.sessionId, generation: 1 })
      await harness.driver.stop(harness.record, harness.sessionId)
      await noneWith(marker)
      expect(await running).toBeInstanceOf(SandboxLost)
      await expect(harness.sandbox.health()).rejects.toBeInstanceOf(SandboxLost)
      expect(await harness.driver.leftovers()).not.toContainEqual({ session_id: harness.sessionId, generation: 1 })
      expect(await at().makeDriver().find(harness.record, harness.sessionId, 2)).toBeNull()
      await harness.end()
    })

    it('keeps the volume over a stop and a new start, secrets included', async () => {
      const harness = await Harness.start(at(), { TOKEN: 'hunter22' })
      await harness.write('kept.txt', 'kept')
      await harness.driver.stop(harness.record, harness.sessionId)
      harness.sandbox.disconnect()
      const { record, sandbox } = await harness.driver.start(specFor(harness.sessionId, 2, at()), async () => undefined)
      harness.sandbox = sandbox
      expect(record.generation).toBe(2)
      expect(await sandbox.health()).toMatchObject({ generation: 2 })
      expect(await harness.read('kept.txt')).toBe('kept')
      expect(await harness.driver.volumes.readSecrets(harness.sessionId)).toEqual({ TOKEN: 'hunter22' })
      sandbox.disconnect()
      await harness.driver.stop(record, harness.sessionId)
      await harness.end()
      expect(await harness.driver.volumes.list()).not.toContain(harness.sessionId)
    })

    it('sweeps what no record names', async () => {
      const marker = newMarker()
      const harness = await Harness.start(at())
      await harness.sandbox.startProcess({ id: 'b', invocation_id: 'b', argv: ['sleep', marker] })
      await eventually(
        () => processesWith(marker),
        (pids) => pids.length === 1,
      )
      const driver = at().makeDriver()
      const mine = (await driver.leftovers()).filter(({ session_id }) => session_id === harness.sessionId)
      expect(mine).toEqual([{ session_id: harness.sessionId, generation: 1 }])
      for (const leftover of mine) await driver.stopLeftover(leftover)
      await noneWith(marker)
      await harness.end()
    })

    it('cleans up what a start left behind when the server died in it', async () => {
      const marker = newMarker()
      const harness = await Harness.start(at())
      await harness.sandbox.startProcess({ id: 'b', invocation_id: 'b', argv: ['sleep', marker] })
      await eventually(
        () => processesWith(marker),
        (pids) => pids.length === 1,
      )
      // As far as the record goes, it was only about to be started.
      expect(
        await at()
          .makeDriver()
          .find({ ...harness.record, phase: 'starting' }, harness.sessionId, 2),
      ).toBeNull()
      await noneWith(marker)
      await harness.end()
    })

    it('refuses ids that are not ids', async () => {
      const driver = at().makeDriver()
      for (const id of ['../x', 'a/b', '', '.', 'A', `a${'b'.repeat(64)}`, 'a\nb']) {
        await expect(driver.volumes.create(id, { uid: null, secrets: {}, staging: {} })).rejects.toThrow()
        await expect(driver.volumes.destroy(id)).rejects.toThrow()
        await expect(driver.start(specFor(id, 1, at()), async () => undefined)).rejects.toThrow()
        await expect(driver.stopLeftover({ session_id: id, generation: 1 })).rejects.toThrow()
      }
    })
  })
}
