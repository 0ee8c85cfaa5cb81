-- Writes and reads checkpoints: the sequence in each stream up to which every event has its
-- records.
-- ARGV: the identity of the server at the caller's last call ('': none), msgpack array of the
-- streams, msgpack of the new checkpoints {stream = sequence}.
-- Returns {the server, {stream, checkpoint ('': none), its mark if it must be read again, else 0,
-- …}}. A server that has restarted, or has taken over from another, may have lost its last writes,
-- with the checkpoint among them: then each stream must be read again from its checkpoint. Each
-- process that finds that out sets a mark that there never was before. For a stream with a mark,
-- and for one without a checkpoint, no new checkpoint is written.
-- include shared/server_identity.lua
local known, packed_streams, packed_sequences = unpack(ARGV)
local time = redis.call('TIME')
local new_mark = string.format('%d%06d', time[1], time[2])
local sequences = cmsgpack.unpack(packed_sequences)
local rows = {}
for _, stream in ipairs(cmsgpack.unpack(packed_streams)) do
  local checkpoint = redis.call('HGET', CHECKPOINT_KEY, stream)
  if known ~= server then
    redis.call('HSET', REREAD_KEY, stream, new_mark)
  elseif not checkpoint then
    redis.call('HSETNX', REREAD_KEY, stream, new_mark)
  end
  local mark = redis.call('HGET', REREAD_KEY, stream) or '0'
  if mark == '0' and sequences[stream] then
    checkpoint = sequences[stream]
    redis.call('HSET', CHECKPOINT_KEY, stream, checkpoint)
  end
  rows[#rows + 1] = stream
  rows[#rows + 1] = tostring(checkpoint or '')
  rows[#rows + 1] = mark
end
return { server, rows }
