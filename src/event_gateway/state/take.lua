-- Takes due deliveries under a lease. KEYS[1]: the prefix of all keys.
-- ARGV[1]: msgpack array of {webhook, how many, lease ms}; ARGV[2]: the token of the new holder;
-- ARGV[3]: the newest format of a record that the caller knows.
-- Answers an array of {webhook, member, source, stream, seq, run, attempts log, status}.
local prefix, token, format = KEYS[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = {}
for _, wanted in ipairs(cmsgpack.unpack(ARGV[1])) do
  local webhook, count, lease = wanted[1], wanted[2], wanted[3]
  local queue = prefix .. 'queue:' .. webhook
  local members = redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, count)
  for _, member in ipairs(members) do
    local key = prefix .. 'delivery:' .. webhook .. ':' .. member
    local record = redis.call('HMGET', key, 'source', 'stream', 'seq', 'run', 'log', 'status',
      'v')
    if record[1] and tonumber(record[7]) > format then
      redis.call('ZADD', queue, now + 60000, member)   -- for a newer version to take
    elseif record[1] then
      local status = record[6]
      -- A failed one keeps its state: only its dead letter is still to be written.
      if status ~= 'failed' then
        redis.call('HSET', key, 'status', 'in_progress', 'timestamp', now)
      end
      redis.call('HSET', key, 'token', token, 'next_attempt_at', now + lease)
      redis.call('ZADD', queue, now + lease, member)
      taken[#taken + 1] = { webhook, member, record[1], record[2], record[3], record[4],
        record[5], status }
    else
      redis.call('ZREM', queue, member)
    end
  end
  local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  if first[2] then
    redis.call('ZADD', prefix .. 'due', first[2], webhook)
  else
    redis.call('ZREM', prefix .. 'due', webhook)
  end
end
return taken
