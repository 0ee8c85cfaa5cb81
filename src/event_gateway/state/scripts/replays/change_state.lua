-- Changes the state of a replay, unless it has ended. ARGV: id, state, 1 if this state ends the
-- replay, error.
-- Returns the state after the call; false if there is no such replay.
-- include shared/clock.lua
local id, new_state, ends, error_text = unpack(ARGV)
local key = replay_key(id)
local state, ended_at = unpack(redis.call('HMGET', key, 'state', 'ended_at'))
if not state then redis.call('SREM', REPLAYING_KEY, id) end
if not state or ended_at then return state end
redis.call('HSET', key, 'state', new_state, 'updated_at', now, 'error', error_text)
if ends == '1' then
  redis.call('HSET', key, 'ended_at', now)
  redis.call('PEXPIRE', key, REPLAY_TTL)
end
if new_state == 'running' then
  redis.call('SADD', REPLAYING_KEY, id)
else
  redis.call('SREM', REPLAYING_KEY, id)
end
return new_state
