-- One call writes the newest state of many deliveries: record, queue member and due time together.
-- KEYS[1]: the prefix of all keys. ARGV[2]: expiry of final records in ms; ARGV[3]: the format of
-- the records, those of a newer one are left alone. ARGV[1]: msgpack array of changes, each
--   {webhook, event id, source, source hash, stream, seq, run, token, status, attempts,
--    last error, attempt log, wait ms (nil: final), fresh}
-- Answers an array of 1 (written) and 0 (refused), and last the highest sequence recorded.
local prefix = KEYS[1]
local changes = cmsgpack.unpack(ARGV[1])
local final_ttl, format = tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local final = { succeeded = true, dead_letter = true, cancelled = true }
local answers, touched, high = {}, {}, {}

for position, c in ipairs(changes) do
  local webhook, id, source, hash, stream, seq = c[1], c[2], c[3], c[4], c[5], c[6]
  local run, token, status, attempts = c[7], c[8], c[9], c[10]
  local wait = c[13]
  local member = id
  local key = prefix .. 'delivery:' .. webhook .. ':' .. id
  local have = redis.call('HMGET', key, 'source', 'status', 'token', 'seq', 'run', 'v')
  if have[1] and have[1] ~= source then
    -- The same id from another source is another event.
    member = id .. '~' .. hash
    key = prefix .. 'delivery:' .. webhook .. ':' .. member
    have = redis.call('HMGET', key, 'source', 'status', 'token', 'seq', 'run', 'v')
  end
  local write = true
  if have[1] and tonumber(have[6]) > format then
    write = false
  elseif have[1] and have[3] ~= token then
    local same_run = tonumber(have[4]) == seq and tonumber(have[5]) == run
    if status == 'succeeded' and same_run and have[2] ~= 'succeeded' then
      write = true   -- what the receiver took has been taken, whoever holds it now
    elseif c[14] and final[have[2]] and seq > tonumber(have[4]) then
      run = tonumber(have[5]) + 1   -- published again long after: a delivery of its own
    else
      write = false
    end
  elseif have[1] and final[have[2]] then
    write = false
  end
  if write then
    local queue = prefix .. 'queue:' .. webhook
    local at = ''
    if wait then
      at = now + wait
      redis.call('ZADD', queue, at, member)
    elseif have[1] then
      redis.call('ZREM', queue, member)
    end
    redis.call('HSET', key, 'v', format, 'status', status, 'timestamp', now, 'attempts', attempts,
      'last_error', c[11], 'source', source, 'stream', stream, 'seq', seq, 'run', run,
      'token', token, 'log', c[12], 'next_attempt_at', at)
    if final[status] then
      redis.call('PEXPIRE', key, final_ttl)
    elseif have[1] and final[have[2]] then
      redis.call('PERSIST', key)   -- what is not final must not expire
    end
    if wait or have[1] then touched[webhook] = true end
    answers[position] = 1
  else
    answers[position] = 0
  end
  if seq > (high[stream] or 0) then high[stream] = seq end
end

for webhook in pairs(touched) do
  local first = redis.call('ZRANGE', prefix .. 'queue:' .. webhook, 0, 0, 'WITHSCORES')
  if first[2] then
    redis.call('ZADD', prefix .. 'due', first[2], webhook)
  else
    redis.call('ZREM', prefix .. 'due', webhook)
  end
end
for stream, seq in pairs(high) do
  local known = tonumber(redis.call('HGET', prefix .. 'high', stream) or '0')
  if seq > known then redis.call('HSET', prefix .. 'high', stream, seq) end
end
redis.call('INCR', prefix .. 'flushes')
return answers
