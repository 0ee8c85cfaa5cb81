-- Notes up to where all events of a stream have their records, and whether that can be relied on.
-- ARGV: the server that the caller has known so far ('': none), msgpack array of the streams,
-- msgpack of {stream = sequence} to be noted, where the caller writes checkpoints.
-- Answers {the server, {stream, checkpoint ('': none), 1 where it is to be reread, …}}.
-- A server that has restarted, or that took another's place, may have lost its last writes, the
-- checkpoint among them: what lies behind the checkpoint is to be reread. Without a checkpoint, or
-- with another server than the caller knows, nothing is noted.
-- include shared/server_identity.lua
local known, packed_streams, packed_sequences = unpack(ARGV)
local sequences = cmsgpack.unpack(packed_sequences)
local answer = {}
for _, stream in ipairs(cmsgpack.unpack(packed_streams)) do
  local checkpoint = redis.call('HGET', CHECKPOINT_KEY, stream)
  if known ~= server or not checkpoint then redis.call('HSET', REREAD_KEY, stream, 1) end
  local reread = redis.call('HEXISTS', REREAD_KEY, stream)
  if reread == 0 and sequences[stream] then
    checkpoint = sequences[stream]
    redis.call('HSET', CHECKPOINT_KEY, stream, checkpoint)
  end
  answer[#answer + 1] = stream
  answer[#answer + 1] = tostring(checkpoint or '')
  answer[#answer + 1] = reread
end
return { server, answer }
