-- Adds a replay, which is running from now on. ARGV: id, replay, how many replays are kept.
-- Answers 1, or 0 where as many as that have not ended.
-- replays lists ids by when they were added, replaying those that are to go on.
-- include shared/clock.lua
local id, replay, most = unpack(ARGV)
for _, known in ipairs(redis.call('ZRANGE', REPLAYS_KEY, 0, -1)) do
  if redis.call('EXISTS', replay_key(known)) == 0 then redis.call('ZREM', REPLAYS_KEY, known) end
end
if redis.call('ZCARD', REPLAYS_KEY) >= tonumber(most) then
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
