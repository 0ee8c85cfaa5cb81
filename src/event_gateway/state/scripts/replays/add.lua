-- Adds a replay in state running. ARGV: id, replay, limit of stored replays.
-- Returns 1, or 0 if as many replays as the limit have not ended.
-- `replays` lists all ids by the time of their creation, `replaying` those of running replays.
-- include shared/clock.lua
local id, replay, limit = unpack(ARGV)
for _, known in ipairs(redis.call('ZRANGE', REPLAYS_KEY, 0, -1)) do
  if redis.call('EXISTS', replay_key(known)) == 0 then redis.call('ZREM', REPLAYS_KEY, known) end
end
if redis.call('ZCARD', REPLAYS_KEY) >= tonumber(limit) then
  local room = false
  for _, known in ipairs(redis.call('ZRANGE', REPLAYS_KEY, 0, -1)) do
    if redis.call('HGET', replay_key(known), 'ended_at') then
      redis.call('DEL', replay_key(known))
      redis.call('ZREM', REPLAYS_KEY, known)
      room = true
      break
    end
  end
  if not room then return 0 end
end
redis.call('HSET', replay_key(id), 'replay', replay, 'state', 'running', 'updated_at', now)
redis.call('ZADD', REPLAYS_KEY, now, id)
redis.call('SADD', REPLAYING_KEY, id)
return 1
