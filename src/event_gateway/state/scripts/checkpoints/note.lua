-- Writes and reads checkpoints: the sequence in each stream up to which every event has its
-- records.
-- ARGV: the identity of the server at the caller's last call ('': none), msgpack array of the
-- streams, msgpack of the new checkpoints {stream = sequence}.
-- Returns {the server, {stream, checkpoint ('': none), 1 if it must be read again, …}}. A server
-- that has restarted, or has taken over from another, may have lost its last writes, with the
-- checkpoint among them: then each stream must be read again from its checkpoint. For such a
-- stream, and for a stream without a checkpoint, no new checkpoint is written.
-- include shared/server_identity.lua
local known, packed_streams, packed_sequences = unpack(ARGV)
local sequences = cmsgpack.unpack(packed_sequences)
local rows = {}
for _, stream in ipairs(cmsgpack.unpack(packed_streams)) do
  local checkpoint = redis.call('HGET', CHECKPOINT_KEY, stream)
  if known ~= server or not checkpoint then redis.call('HSET', REREAD_KEY, stream, 1) end
  local reread = redis.call('HEXISTS', REREAD_KEY, stream)
  if reread == 0 and sequences[stream] then
    checkpoint = sequences[stream]
    redis.call('HSET', CHECKPOINT_KEY, stream, checkpoint)
  end
  rows[#rows + 1] = stream
  rows[#rows + 1] = tostring(checkpoint or '')
  rows[#rows + 1] = reread
end
return { server, rows }
