import { writeSync } from 'node:fs'
import { openSqliteStore } from './open-sqlite-store.ts'

/**
 * A process that appends to a session's log until it is killed, saying each seq after its commit: `node appender.fixture.ts FILE
 * SESSION`. Each event goes with a message, in one transaction.
 */
const [file, sessionId] = process.argv.slice(2) as [string, string]
const store = await openSqliteStore(file)
for (let i = 1; ; i++) {
  const event = await store.transaction(async (tx) => {
    const message = await tx.messages.insert({
      id: `msg_${process.pid}_${i}`,
      session_id: sessionId,
      role: 'user',
      content: 'x'.repeat(1000),
      turn_id: null,
      usage: null,
      created_at: new Date().toISOString(),
    })
    return tx.events.append(sessionId, {
      type: 'message.created',
      at: message.created_at,
      actor: { kind: 'system', id: 'appender' },
      data: { message_id: message.id, message_seq: message.seq },
    })
  })
  writeSync(1, `${event.seq}\n`)
}
