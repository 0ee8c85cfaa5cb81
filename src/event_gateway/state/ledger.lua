-- One call writes the newest state of many deliveries: record, queue member and due time together,
-- and what has changed of their webhooks' lanes.
-- ARGV[2]: expiry of final records in ms; ARGV[3]: the format of the records, those of a newer one
-- are left alone. ARGV[1]: msgpack array of changes, each
--   {webhook, event id, source, source hash, stream, seq, run, token, status, attempts,
--    last error, attempt log, wait ms (nil: not in the queue), fresh, attempts that ended since the
--    last write, how many of them succeeded, the event's time in the log in ms, next attempt in ms,
--    what the receiver answered to the latest attempts, place of the dead letter (0: none),
--    the event's id in full where the id before is not ('')}
-- ARGV[4]: msgpack array of {webhook, what, ms, token}, where what is
--   open     no attempt for so long; with a token: the probe of that token has failed
--   close    the probe of that token has succeeded
--   release  the probe of that token was not tried
--   reset    the webhook goes elsewhere now: forget its breaker and its failures
--   pause, resume
--   rate     its rate is another one now: what the former one said of when to go on holds no more
-- Answers {webhooks whose breaker is not closed}, {webhook, for how many ms only failures, …},
-- {positions of the changes that were refused}.
local final_ttl, format = tonumber(ARGV[2]), tonumber(ARGV[3])
local final = { succeeded = true, dead_letter = true, cancelled = true }
local webhooks, touched, high, tried, took = {}, {}, {}, {}, {}
local recent, answered, ended, refused = {}, {}, {}, {}

local function add(to, webhook, value, score)
  local list = to[webhook]
  if not list then
    list = {}
    to[webhook] = list
  end
  list[#list + 1] = score
  list[#list + 1] = value
end

for position, c in ipairs(cmsgpack.unpack(ARGV[1])) do
  local webhook, id, source, hash, stream, seq = c[1], c[2], c[3], c[4], c[5], c[6]
  local run, token, status, attempts = c[7], c[8], c[9], c[10]
  local wait = c[13]
  local member = id
  local key = prefix .. 'delivery:' .. webhook .. ':' .. id
  local have = redis.call('HMGET', key, 'source', 'status', 'token', 'seq', 'run', 'v')
  if have[1] ~= source then
    -- The same id from another source is another event. It stays at that key when the first expires.
    local other = prefix .. 'delivery:' .. webhook .. ':' .. id .. '~' .. hash
    if have[1] or redis.call('EXISTS', other) == 1 then
      member, key = id .. '~' .. hash, other
      have = redis.call('HMGET', key, 'source', 'status', 'token', 'seq', 'run', 'v')
    end
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
      redis.call('HDEL', key, 'repeats', 'letter', 'latest')
      forget_answers(webhook, member)
    else
      write = false
    end
  elseif have[1] and final[have[2]] then
    write = false
  end
  if not write then
    refused[#refused + 1] = position
  else
    local queue = prefix .. 'queue:' .. webhook
    local at = ''
    if wait then
      at = now + wait
      -- What could go at once is in the order of its events, wherever it has waited before.
      if wait == 0 and status == 'pending' then at = math.min(now, c[17]) end
      redis.call('ZADD', queue, at, member)
    elseif have[1] then
      redis.call('ZREM', queue, member)
    end
    if c[18] then at = now + c[18] end
    redis.call('HSET', key, 'v', format, 'status', status, 'timestamp', now, 'attempts', attempts,
      'last_error', c[11], 'source', source, 'stream', stream, 'seq', seq, 'run', run,
      'token', token, 'log', c[12], 'next_attempt_at', at, 'event_at', c[17])
    if final[status] then
      redis.call('PEXPIRE', key, final_ttl)
    elseif have[1] and final[have[2]] then
      redis.call('PERSIST', key)   -- what is not final must not expire
    end
    if c[21] ~= '' then redis.call('HSET', key, 'event_id', c[21]) end
    if c[20] > 0 then redis.call('HSET', key, 'letter', c[20]) end
    if c[19] ~= '' then
      redis.call('HSET', prefix .. 'answers:' .. webhook, member, c[19])
      add(answered, webhook, member, now)
    end
    -- What only waits for its first attempt is found in its queue.
    if status ~= 'pending' or attempts > 0 then add(recent, webhook, member, now) end
    if final[status] then
      local counts = ended[webhook]
      if not counts then
        counts = { succeeded = 0, dead_letter = 0, cancelled = 0, latency = 0 }
        ended[webhook] = counts
      end
      counts[status] = counts[status] + 1
      if status == 'succeeded' then counts.latency = counts.latency + math.max(0, now - c[17]) end
    end
    if wait or have[1] then touched[webhook] = true end
  end
  webhooks[webhook] = true
  if c[15] > 0 then
    tried[webhook] = (tried[webhook] or 0) + c[15]
    took[webhook] = (took[webhook] or 0) + c[16]
  end
  if seq > (high[stream] or 0) then high[stream] = seq end
end

for _, change in ipairs(cmsgpack.unpack(ARGV[4])) do
  local webhook, what, token = change[1], change[2], change[4]
  local breaker = prefix .. 'breaker:' .. webhook
  local holder = redis.call('HGET', breaker, 'token')
  if what == 'open' and holder == token or what == 'open' and not holder and token == '' then
    redis.call('HSET', breaker, 'state', 'open', 'token', '', 'until', now + change[3])
    redis.call('HSETNX', breaker, 'since', now)
    redis.call('SADD', prefix .. 'shut', webhook)
    redis.call('HSET', prefix .. 'gates', webhook, now + change[3])
  elseif what == 'release' and holder == token then
    redis.call('HSET', breaker, 'state', 'open', 'token', '', 'until', now)
    redis.call('HDEL', prefix .. 'gates', webhook)
  elseif what == 'close' and holder == token or what == 'reset' then
    redis.call('DEL', breaker)
    redis.call('SREM', prefix .. 'shut', webhook)
    redis.call('HDEL', prefix .. 'gates', webhook)
    if what == 'reset' then redis.call('HDEL', prefix .. 'failing', webhook) end
  elseif what == 'pause' then
    redis.call('SADD', prefix .. 'paused', webhook)
  elseif what == 'resume' then
    redis.call('SREM', prefix .. 'paused', webhook)
    redis.call('HDEL', prefix .. 'failing', webhook)
  elseif what == 'rate' and redis.call('EXISTS', breaker) == 0 then
    redis.call('HDEL', prefix .. 'gates', webhook)
  end
  webhooks[webhook], touched[webhook] = true, true
end

for webhook in pairs(touched) do look_again(webhook) end

for webhook, entries in pairs(recent) do
  redis.call('ZADD', prefix .. 'recent:' .. webhook, unpack(entries))
  keep_recent(webhook, final_ttl)
end
for webhook, entries in pairs(answered) do
  local order, answers = prefix .. 'answered:' .. webhook, prefix .. 'answers:' .. webhook
  redis.call('ZADD', order, unpack(entries))
  local over = redis.call('ZCARD', order) - ANSWERED
  if over > 0 then
    local oldest = redis.call('ZPOPMIN', order, over)
    for position = 1, #oldest, 2 do redis.call('HDEL', answers, oldest[position]) end
  end
  redis.call('PEXPIRE', order, final_ttl)
  redis.call('PEXPIRE', answers, final_ttl)
end

local failing, minute = {}, math.floor(now / 60000)
for webhook, counts in pairs(ended) do
  count(webhook, 'delivered', counts.succeeded)
  count(webhook, 'dead_lettered', counts.dead_letter)
  count(webhook, 'cancelled', counts.cancelled)
  count(webhook, 'latency_ms', counts.latency)
end
for webhook, number in pairs(tried) do
  local stats = prefix .. 'stats:' .. webhook
  count(webhook, 'attempts', number)
  local last = redis.call('HMGET', stats, 'minute', 'this')
  if tonumber(last[1]) ~= minute then
    local before = tonumber(last[1]) == minute - 1 and last[2] or 0
    redis.call('HSET', stats, 'minute', minute, 'this', number, 'before', before)
    redis.call('PEXPIRE', stats, 34560000000)   -- 400 days: also a webhook that is gone is counted
  else
    redis.call('HINCRBY', stats, 'this', number)
  end
  if took[webhook] > 0 then
    count(webhook, 'succeeded', took[webhook])
    redis.call('HSET', stats, 'last_success', now)
    redis.call('HDEL', prefix .. 'failing', webhook)
  end
  if took[webhook] < number then redis.call('HSET', stats, 'last_failure', now) end
  if took[webhook] == 0 then
    redis.call('HSETNX', prefix .. 'failing', webhook, now)
    failing[#failing + 1] = webhook
    failing[#failing + 1] = now - redis.call('HGET', prefix .. 'failing', webhook)
  end
end
local open = {}
for webhook in pairs(webhooks) do
  if redis.call('SISMEMBER', prefix .. 'shut', webhook) == 1 then open[#open + 1] = webhook end
end
for stream, seq in pairs(high) do
  local known = tonumber(redis.call('HGET', prefix .. 'high', stream) or '0')
  if seq > known then redis.call('HSET', prefix .. 'high', stream, seq) end
end
return { open, failing, refused }
