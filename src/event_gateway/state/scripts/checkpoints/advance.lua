-- Moves a checkpoint on while what lies behind it is reread.
-- ARGV: the server that has the records of what was reread, stream, sequence, 1 where all is
-- reread.
-- Answers 0 where it is another server by now, which may not have the records.
-- include shared/server_identity.lua
local expected, stream, seq, whole = unpack(ARGV)
if server ~= expected or redis.call('HEXISTS', REREAD_KEY, stream) == 0 then return 0 end
redis.call('HSET', CHECKPOINT_KEY, stream, seq)
if whole == '1' then redis.call('HDEL', REREAD_KEY, stream) end
return 1
