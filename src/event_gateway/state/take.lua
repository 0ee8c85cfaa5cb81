-- Takes due deliveries under a lease.
-- ARGV[1]: msgpack array of {webhook, how many, lease ms, lease of a probe in ms, its limits as
-- {how many, in how many ms} (none: any number)}; ARGV[2]: the token of the new holder; ARGV[3]:
-- the newest format of a record that the caller knows.
-- Answers an array of {webhook, member, source, stream, seq, run, attempts log, status, probe,
-- the event's time in ms, what asked for a repetition, place of the dead letter, answers, when it
-- ends at the latest in ms}. While a breaker is open nothing is taken; once its time is over one
-- delivery is, as the probe, by one process.
local token, format = ARGV[2], tonumber(ARGV[3])
local taken = {}

local function take(webhook, members, lease, probe)
  local queue = prefix .. 'queue:' .. webhook
  for _, member in ipairs(members) do
    local key = prefix .. 'delivery:' .. webhook .. ':' .. member
    local record = redis.call('HMGET', key, 'source', 'stream', 'seq', 'run', 'log', 'status',
      'v', 'event_at', 'repeats', 'letter', 'latest')
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
        record[5], status, probe, record[8] or '', record[9] or '', record[10] or '',
        record[5] ~= '' and redis.call('HGET', prefix .. 'answers:' .. webhook, member) or '',
        record[11] or '' }
    else
      redis.call('ZREM', queue, member)
    end
  end
end

for _, wanted in ipairs(cmsgpack.unpack(ARGV[1])) do
  local webhook, count, lease = wanted[1], wanted[2], wanted[3]
  local breaker, probe = prefix .. 'breaker:' .. webhook, 0
  local shut = redis.call('HGET', breaker, 'until')
  if redis.call('SISMEMBER', prefix .. 'paused', webhook) == 1 then
    count = 0
  elseif shut then
    count, probe = tonumber(shut) <= now and 1 or 0, 1
  end
  local members = {}
  if count > 0 then
    members = redis.call('ZRANGEBYSCORE', prefix .. 'queue:' .. webhook, '-inf', now,
      'LIMIT', 0, count)
  end
  if #members > 0 and #wanted[5] > 0 then
    local allowed, again = permits(webhook, #members, wanted[5])
    for position = #members, allowed + 1, -1 do members[position] = nil end
    if again > now then redis.call('HSET', prefix .. 'gates', webhook, again) end
  end
  if #members > 0 and probe == 1 then
    redis.call('HSET', breaker, 'state', 'half_open', 'token', token, 'until', now + wanted[4])
    redis.call('HSET', prefix .. 'gates', webhook, now + wanted[4])
  end
  take(webhook, members, lease, probe)
  look_again(webhook)
end
return taken
