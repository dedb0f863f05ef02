import type { request } from 'node:http'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { DatabaseSync } from 'node:sqlite'

/**
 * Loaded into a server before its own code (`node --import`): kills it, as `kill -9` does, at an exact point.
 *
 *     CLOISTER_TEST_CRASH=event:SESSION:SEQ        when the transaction that wrote this event, or a later one, is on disk
 *     CLOISTER_TEST_CRASH=effect:INVOCATION,...    in the first operation with an effect of an invocation that is not among these:
 *                                                  for every other one as soon as host answers, while a command still runs, for the
 *                                                  rest when it is over; what came of it is written down nowhere
 */

const [kind = '', ...rest] = (process.env['CLOISTER_TEST_CRASH'] ?? '').split(':')

function die(why: string): never {
  process.stderr.write(`crashed at ${why}\n`)
  process.kill(process.pid, 'SIGKILL')
  throw new Error('a killed process goes on')
}

if (kind === 'event') {
  const [session = '', seq = ''] = rest
  const { prepare } = DatabaseSync.prototype
  DatabaseSync.prototype.prepare = function (this: DatabaseSync, sql: string) {
    const statement = prepare.call(this, sql)
    if (sql !== 'commit') return statement
    const run = statement.run.bind(statement)
    const look = prepare.call(this, 'select event_seq from sessions where id = ?')
    statement.run = () => {
      const result = run()
      const row = look.get(session) as { event_seq: number } | undefined
      return row && row.event_seq >= Number(seq) ? die(`event ${row.event_seq}`) : result
    }
    return statement
  }
}

if (kind === 'effect') {
  const known = rest.join(':').split(',')
  const http = createRequire(import.meta.url)('node:http') as { request: typeof request }
  const original = http.request
  http.request = ((...args: Parameters<typeof original>) => {
    const made = original(...args)
    const { end } = made
    made.end = ((chunk?: unknown, ...more: never[]) => {
      const id = /"id":"(inv_[^"/]+)\/\d+"/.exec(String(chunk ?? ''))?.[1]
      if (id !== undefined && !known.includes(id))
        made.once('response', (response) => {
          if (known.length % 2 === 0) die(`the beginning of ${id}`)
          response.once('end', () => die(`the end of ${id}`))
        })
      return Reflect.apply(end, made, [chunk, ...more])
    }) as typeof end
    return made
  }) as typeof original
  syncBuiltinESMExports()
}
