-- Lowers what is stored of a stream whose sequences have gone back.
-- ARGV: stream, since when its messages are others (ms), the last sequence that is still known.
local stream, at, floor = unpack(ARGV)
redis.call('HSET', RESET_KEY, stream, at)
for _, key in ipairs({ CHECKPOINT_KEY, HIGH_KEY }) do
  local seq = redis.call('HGET', key, stream)
  if seq and tonumber(seq) > tonumber(floor) then redis.call('HSET', key, stream, floor) end
end
redis.call('HDEL', INDEXED_FROM_KEY, stream)
