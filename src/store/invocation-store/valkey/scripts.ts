/**
 * Lua, so that a record and its place in the session's index come and go together. Keys that are not passed as such are built
 * from ARGV: one server, or a primary with replicas, not a cluster.
 *
 * A session's index is a sorted set whose members are `<started_at> <id>`, all of one score, so that their order is that of the
 * text. A record expires by itself, its member does not: members of expired records are taken out when a list meets them, and the
 * oldest few at every put, so that an index does not grow beyond what its records last.
 */

/** KEYS: record, index. ARGV: JSON, TTL in seconds, member, the beginning of record keys. */
export const PUT = `
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[2])
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, 3)) do
  if redis.call('EXISTS', ARGV[4] .. string.match(member, ' (.*)$')) == 0 then
    redis.call('ZREM', KEYS[2], member)
  end
end
`

/** KEYS: index. ARGV: the beginning of record keys, then members. Those whose records are there (put meanwhile) stay. */
export const CLEAN = `
for i = 2, #ARGV do
  if redis.call('EXISTS', ARGV[1] .. string.match(ARGV[i], ' (.*)$')) == 0 then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
`

/** KEYS: index. ARGV: the beginning of record keys, how many at most. Answers with how many were there. */
export const DELETE = `
local members = redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1)
for _, member in ipairs(members) do
  redis.call('DEL', ARGV[1] .. string.match(member, ' (.*)$'))
  redis.call('ZREM', KEYS[1], member)
end
return #members
`
