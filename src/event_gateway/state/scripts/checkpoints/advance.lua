-- Advances a checkpoint while the stream is read again from there.
-- ARGV: the identity of the server that has the records, stream, sequence, 1 if the stream was read
-- to its end.
-- Returns 0 if the server was replaced or restarted, so that it may not have the records.
-- include shared/server_identity.lua
local expected, stream, seq, complete = unpack(ARGV)
if server ~= expected or redis.call('HEXISTS', REREAD_KEY, stream) == 0 then return 0 end
redis.call('HSET', CHECKPOINT_KEY, stream, seq)
if complete == '1' then redis.call('HDEL', REREAD_KEY, stream) end
return 1
