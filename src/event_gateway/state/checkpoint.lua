-- Notes up to where all events of a stream have their records, and whether those can be relied on.
-- KEYS[1]: the prefix of all keys; ARGV[1]: the server that the caller has known so far ('': none);
-- ARGV[2]: msgpack array of the streams; ARGV[3]: msgpack of {stream = sequence} to be noted, where
-- the caller writes them.
-- Answers {the server, {stream, checkpoint ('': none), 1 where it is to be reread, …}}.
-- A server that has been started anew, or that took another's place, may have lost its last writes,
-- the checkpoint among them: what lies behind that one is to be reread. Without a checkpoint, or
-- with another server than the caller knows, nothing is noted.
local prefix, known = KEYS[1], ARGV[1]
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local checkpoints, rereads = prefix .. 'checkpoint', prefix .. 'reread'
local to_note = cmsgpack.unpack(ARGV[3])
local answer = {}
for _, stream in ipairs(cmsgpack.unpack(ARGV[2])) do
  local at = redis.call('HGET', checkpoints, stream)
  if known ~= server or not at then redis.call('HSET', rereads, stream, 1) end
  local reread = redis.call('HEXISTS', rereads, stream)
  if reread == 0 and to_note[stream] then
    at = to_note[stream]
    redis.call('HSET', checkpoints, stream, at)
  end
  answer[#answer + 1] = stream
  answer[#answer + 1] = tostring(at or '')
  answer[#answer + 1] = reread
end
return { server, answer }
