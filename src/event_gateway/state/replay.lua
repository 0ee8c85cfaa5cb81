-- Keeps replays. KEYS[1]: the prefix of all keys. replays has their ids by when they were asked for,
-- replaying the ids of those that are to go on, replay:{id} each of them.
-- ARGV: add, id, replay, how many are kept: answers 1, or 0 where too many go on.
-- ARGV: move, id, state, 1 where that is its end, error, expiry of an ended one in ms: answers the
-- state that it is in now, which is its former one where that was its end already.
local prefix, what, id = KEYS[1], ARGV[1], ARGV[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local key, all, going = prefix .. 'replay:' .. id, prefix .. 'replays', prefix .. 'replaying'
if what == 'add' then
  for _, one in ipairs(redis.call('ZRANGE', all, 0, -1)) do
    if redis.call('EXISTS', prefix .. 'replay:' .. one) == 0 then redis.call('ZREM', all, one) end
  end
  local kept = tonumber(ARGV[4])
  if redis.call('ZCARD', all) >= kept then
    local room = false
    for _, one in ipairs(redis.call('ZRANGE', all, 0, -1)) do
      if redis.call('HGET', prefix .. 'replay:' .. one, 'ended_at') then
        redis.call('DEL', prefix .. 'replay:' .. one)
        redis.call('ZREM', all, one)
        room = true
        break
      end
    end
    if not room then return 0 end
  end
  redis.call('HSET', key, 'replay', ARGV[3], 'state', 'running', 'updated_at', now)
  redis.call('ZADD', all, now, id)
  redis.call('SADD', going, id)
  return 1
end
local state = redis.call('HGET', key, 'state')
if not state then redis.call('SREM', going, id) end
if not state or redis.call('HGET', key, 'ended_at') then return state end
redis.call('HSET', key, 'state', ARGV[3], 'updated_at', now, 'error', ARGV[5])
if ARGV[4] == '1' then
  redis.call('HSET', key, 'ended_at', now)
  redis.call('PEXPIRE', key, ARGV[6])
end
if ARGV[3] == 'running' then
  redis.call('SADD', going, id)
else
  redis.call('SREM', going, id)
end
return ARGV[3]
