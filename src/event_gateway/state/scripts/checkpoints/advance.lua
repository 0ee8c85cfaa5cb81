-- Advances a checkpoint while the stream is read again from there.
-- ARGV: the identity of the server that has the records, stream, sequence, the stream's mark if it
-- was read to the end that it had after that mark, else 0.
-- Returns 0 if the server was replaced or restarted, so that it may not have the records, or if the
-- stream was read to its end and has another mark by now: the process that set it may have routed
-- events behind that end, and recorded them on a former server.
-- include shared/server_identity.lua
local expected, stream, seq, mark = unpack(ARGV)
local present = redis.call('HGET', REREAD_KEY, stream)
if server ~= expected or not present then return 0 end
redis.call('HSET', CHECKPOINT_KEY, stream, seq)
if mark == '0' then return 1 end
if mark ~= present then return 0 end
redis.call('HDEL', REREAD_KEY, stream)
return 1
