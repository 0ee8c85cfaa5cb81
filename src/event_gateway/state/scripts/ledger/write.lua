-- Writes the newest state of some deliveries: record, queue member and due time of each together,
-- and the changes of their webhooks' lanes. A batch of changes is written by several calls, which
-- are sent together.
-- ARGV: changes (msgpack array of Change), ms for which records of final deliveries are stored,
-- format of the records (a record of a newer format is not changed), lane changes (msgpack array of
-- LaneChange), the process, the number of this call among the calls of the process, how many
-- changes the calls before it have of the same batch.
-- If an answer was lost, the process sends all calls of the batch again with the same numbers: for
-- one that was done, nothing is written or counted, and the refused changes of the batch so far are
-- returned.
-- Returns {webhooks whose circuit breaker is not closed} (false: this call was done before),
-- {webhook, for how many ms all its attempts have failed, …}, {positions in the batch of the
-- refused changes}, {webhook, for how many ms it is throttled, …}.
-- include shared/clock.lua
-- include shared/timestamp.lua
-- include shared/schedule.lua
-- include shared/counts.lua
-- include shared/recent.lua
-- include shared/responses.lua
-- include shared/find_record.lua
-- include shared/throttle.lua
-- include shared/resets.lua

local packed_changes, final_ttl, format, packed_lane_changes, process, call_number, earlier =
  unpack(ARGV)
final_ttl, format = tonumber(final_ttl), tonumber(format)
call_number, earlier = tonumber(call_number), tonumber(earlier)
local last_write = last_write_key(process)
local last_number, last_refused = unpack(redis.call('HMGET', last_write, 'number', 'refused'))
last_number = tonumber(last_number or '0')
if last_number >= call_number then
  local positions = {}
  for position in string.gmatch(last_refused, '%d+') do
    positions[#positions + 1] = tonumber(position)
  end
  return { false, {}, positions, {} }
end
-- The call before it has failed, or its server is another one: a later call that was done would
-- stand for both.
if earlier > 0 and last_number ~= call_number - 1 then
  return redis.error_reply('GAP the call before this one of the same batch was not done')
end
local MAX_RESPONDED = 100
-- By webhook: true if the call names it, true if it must be rescheduled, attempts, successful
-- attempts.
local webhooks, touched, tried, succeeded = {}, {}, {}, {}
-- By webhook: entries of its lists, and how many deliveries became final.
local recent, responded, ended = {}, {}, {}
local high, high_at, refused = {}, {}, {}
local timestamp = iso8601(now)

local function add(lists, webhook, score, member)
  local list = lists[webhook]
  if not list then
    list = {}
    lists[webhook] = list
  end
  list[#list + 1] = score
  list[#list + 1] = member
end

-- Whether a change may replace the record, and the number of the run that the change belongs to.
local function accepted(change, webhook, member, key, source, status, token, seq, run, v, event_at)
  local new_run = change[CHANGE_RUN]
  if not source then return true, new_run end
  if tonumber(v) > format then return false end
  if token == change[CHANGE_TOKEN] then
    -- The process does not know that its delivery has become a later run (below).
    return not FINAL[status], math.max(tonumber(run), new_run)
  end
  local same_run = tonumber(seq) == change[CHANGE_SEQ] and tonumber(run) == new_run
  if change[CHANGE_STATUS] == 'succeeded' and same_run and status ~= 'succeeded' then
    return true, new_run   -- the receiver has accepted the event, whichever process has the lease
  end
  if change[CHANGE_FRESH] and (FINAL[status] and change[CHANGE_SEQ] > tonumber(seq)
      or tonumber(event_at or '') ~= change[CHANGE_EVENT_AT]
      and is_before_reset(change[CHANGE_STREAM], event_at)) then
    -- The event was published again, after the duplicate window, or after its log was lost: this is
    -- another delivery.
    redis.call('HDEL', key, 'repeats', 'letter', 'latest')
    forget_responses(webhook, member)
    return true, tonumber(run) + 1
  end
  return false
end

-- Whether a delivery was cancelled because its webhook was deleted. The result of an attempt that
-- was in flight then is recorded, but not counted: another webhook may have that id by now.
local function was_deleted(key, status)
  return status == 'cancelled' and redis.call('HGET', key, 'last_error') == WEBHOOK_DELETED
end

for position, change in ipairs(cmsgpack.unpack(packed_changes)) do
  local webhook, stream, seq = change[CHANGE_WEBHOOK], change[CHANGE_STREAM], change[CHANGE_SEQ]
  local status, attempts, wait = change[CHANGE_STATUS], change[CHANGE_ATTEMPTS], change[CHANGE_WAIT]
  local event_at, next_attempt = change[CHANGE_EVENT_AT], change[CHANGE_NEXT_ATTEMPT]
  local member, key, old_source, old_status, old_token, old_seq, old_run, old_v,
    old_event_at = find_record(
    webhook, change[CHANGE_MEMBER], change[CHANGE_SOURCE], change[CHANGE_SOURCE_HASH],
    'status', 'token', 'seq', 'run', 'v', 'event_at')
  local write, run = accepted(
    change, webhook, member, key, old_source, old_status, old_token, old_seq, old_run, old_v,
    old_event_at)
  local counted = not (old_source and was_deleted(key, old_status))
    or write and run ~= tonumber(old_run)
  if not write then
    refused[#refused + 1] = earlier + position
  else
    local queue = queue_key(webhook)
    local at = ''
    if wait then
      at = now + wait
      -- Deliveries that may start at once are queued in the order of their events.
      if wait == 0 and status == 'pending' then at = math.min(now, event_at) end
      redis.call('ZADD', queue, at, member)
    elseif old_source then
      redis.call('ZREM', queue, member)
    end
    if next_attempt then at = now + next_attempt end
    -- A final record has no lease, and is stored for days.
    local token = FINAL[status] and '' or change[CHANGE_TOKEN]
    if old_token == change[CHANGE_TOKEN] and tonumber(old_v) == format
      and tonumber(old_run) == run and tonumber(old_seq) == seq
      and tonumber(old_event_at or '') == event_at then
      -- The same lease wrote the record: what it says of the event has not changed. Each argument
      -- of a write costs memory that is allocated, and is written to the append-only file.
      redis.call('HSET', key, 'status', status, 'timestamp', timestamp, 'attempts', attempts,
        'last_error', change[CHANGE_LAST_ERROR], 'log', change[CHANGE_LOG], 'next_attempt_at', at,
        'token', token)
    else
      redis.call('HSET', key, 'v', format, 'status', status, 'timestamp', timestamp,
        'attempts', attempts, 'last_error', change[CHANGE_LAST_ERROR],
        'source', change[CHANGE_SOURCE], 'stream', stream, 'seq', seq, 'run', run,
        'token', token, 'log', change[CHANGE_LOG], 'next_attempt_at', at,
        'event_at', event_at)
    end
    if FINAL[status] then
      redis.call('PEXPIRE', key, final_ttl)
    elseif old_source and FINAL[old_status] then
      redis.call('PERSIST', key)   -- a record that is not final must not expire
    end
    if change[CHANGE_EVENT_ID] ~= '' then
      redis.call('HSET', key, 'event_id', change[CHANGE_EVENT_ID])
    end
    if change[CHANGE_DEAD_LETTER] > 0 then
      redis.call('HSET', key, 'letter', change[CHANGE_DEAD_LETTER])
    end
    if change[CHANGE_RESPONSES] ~= '' then
      redis.call('HSET', responses_key(webhook), member, change[CHANGE_RESPONSES])
      add(responded, webhook, now, member)
    end
    -- A delivery without an attempt is listed from its queue.
    if status ~= 'pending' or attempts > 0 then add(recent, webhook, now, member) end
    if FINAL[status] and counted then
      local counts = ended[webhook]
      if not counts then
        counts = { succeeded = 0, dead_letter = 0, cancelled = 0, latency = 0 }
        ended[webhook] = counts
      end
      counts[status] = counts[status] + 1
      -- The receiver has accepted an event whose delivery was cancelled, or given up, meanwhile.
      if old_source and FINAL[old_status] and run == tonumber(old_run) then
        counts[old_status] = counts[old_status] - 1
      end
      if status == 'succeeded' then
        counts.latency = counts.latency + math.max(0, now - event_at)
      end
    end
    if wait or old_source then touched[webhook] = true end
  end
  webhooks[webhook] = true
  if change[CHANGE_TRIED] > 0 and counted then
    tried[webhook] = (tried[webhook] or 0) + change[CHANGE_TRIED]
    succeeded[webhook] = (succeeded[webhook] or 0) + change[CHANGE_SUCCEEDED]
  end
  if seq > (high[stream] or 0) then high[stream], high_at[stream] = seq, event_at end
end

-- A receiver that has said when it wants the next request gets it then: a circuit breaker that is
-- open does not lengthen that.
local function open_breaker(webhook, breaker, ends)
  local throttled = throttled_until(webhook)
  if throttled > 0 then ends = math.min(ends, throttled) end
  redis.call('HSET', breaker, 'state', 'open', 'token', '', 'until', ends)
  redis.call('HSET', GATES_KEY, webhook, ends)
end

-- The values of `what` in a LaneChange:
--   open     the circuit breaker opens for `wait` ms; with a token: the probe with it has failed
--   close    the probe with the token has succeeded: the circuit breaker closes
--   release  the probe with the token was not sent: another delivery can be the probe
--   throttle the receiver has asked for no requests for `wait` ms
--   reset    the webhook has another URL: its circuit breaker closes, its failures and what the
--            former receiver has asked for are forgotten
--   pause    no delivery of the queue starts
--   resume   deliveries of the queue start again
--   rate     the rate limit has changed: the gate of the former limit opens
for _, change in ipairs(cmsgpack.unpack(packed_lane_changes)) do
  local webhook, what = change[LANE_CHANGE_WEBHOOK], change[LANE_CHANGE_WHAT]
  local wait, token = change[LANE_CHANGE_WAIT], change[LANE_CHANGE_TOKEN]
  local breaker = breaker_key(webhook)
  local holder = redis.call('HGET', breaker, 'token')
  if what == 'open' and (holder == token or not holder and token == '') then
    open_breaker(webhook, breaker, now + wait)
    redis.call('HSETNX', breaker, 'since', now)
    redis.call('SADD', BREAKERS_NOT_CLOSED_KEY, webhook)
  elseif what == 'throttle' then
    redis.call('HSET', THROTTLED_KEY, webhook, math.max(now + wait, throttled_until(webhook)))
    any_throttled = true
    local state, open_until = unpack(redis.call('HMGET', breaker, 'state', 'until'))
    if state == 'open' then open_breaker(webhook, breaker, tonumber(open_until)) end
  elseif what == 'release' and holder == token then
    redis.call('HSET', breaker, 'state', 'open', 'token', '', 'until', now)
    redis.call('HDEL', GATES_KEY, webhook)
  elseif what == 'close' and holder == token or what == 'reset' then
    redis.call('DEL', breaker)
    redis.call('SREM', BREAKERS_NOT_CLOSED_KEY, webhook)
    redis.call('HDEL', GATES_KEY, webhook)
    if what == 'reset' then
      redis.call('HDEL', FAILING_KEY, webhook)
      redis.call('HDEL', THROTTLED_KEY, webhook)
    end
  elseif what == 'pause' then
    redis.call('SADD', PAUSED_KEY, webhook)
  elseif what == 'resume' then
    redis.call('SREM', PAUSED_KEY, webhook)
    redis.call('HDEL', FAILING_KEY, webhook)
  elseif what == 'rate' and redis.call('EXISTS', breaker) == 0 then
    redis.call('HDEL', GATES_KEY, webhook)
  end
  webhooks[webhook], touched[webhook] = true, true
end

for webhook in pairs(touched) do reschedule(webhook) end

for webhook, entries in pairs(recent) do
  redis.call('ZADD', recent_key(webhook), unpack(entries))
  trim_recent(webhook, final_ttl)
end
for webhook, entries in pairs(responded) do
  local order, responses = responded_key(webhook), responses_key(webhook)
  redis.call('ZADD', order, unpack(entries))
  local over = redis.call('ZCARD', order) - MAX_RESPONDED
  if over > 0 then
    local oldest = redis.call('ZPOPMIN', order, over)
    for index = 1, #oldest, 2 do redis.call('HDEL', responses, oldest[index]) end
  end
  redis.call('PEXPIRE', order, final_ttl)
  redis.call('PEXPIRE', responses, final_ttl)
end

for webhook, counts in pairs(ended) do
  count(webhook, 'delivered', counts.succeeded)
  count(webhook, 'dead_lettered', counts.dead_letter)
  count(webhook, 'cancelled', counts.cancelled)
  count(webhook, 'latency_ms', counts.latency)
end
local failing, this_minute = {}, math.floor(now / 60000)
for webhook, number in pairs(tried) do
  local stats = stats_key(webhook)
  count(webhook, 'attempts', number)
  local minute, in_minute = unpack(redis.call('HMGET', stats, 'minute', 'this'))
  minute = tonumber(minute)
  if minute ~= this_minute then
    local before = minute == this_minute - 1 and in_minute or 0
    redis.call('HSET', stats, 'minute', this_minute, 'this', number, 'before', before)
    redis.call('PEXPIRE', stats, STATS_TTL)
  else
    redis.call('HINCRBY', stats, 'this', number)
  end
  if succeeded[webhook] > 0 then
    count(webhook, 'succeeded', succeeded[webhook])
    redis.call('HSET', stats, 'last_success', now)
    redis.call('HDEL', FAILING_KEY, webhook)
  end
  if succeeded[webhook] < number then redis.call('HSET', stats, 'last_failure', now) end
  if succeeded[webhook] == 0 then
    redis.call('HSETNX', FAILING_KEY, webhook, now)
    failing[#failing + 1] = webhook
    failing[#failing + 1] = now - redis.call('HGET', FAILING_KEY, webhook)
  end
end
local not_closed, throttled = {}, {}
for webhook in pairs(webhooks) do
  local throttle_ends = throttled_until(webhook)
  if throttle_ends > 0 then
    throttled[#throttled + 1] = webhook
    throttled[#throttled + 1] = throttle_ends - now
  end
  if redis.call('SISMEMBER', BREAKERS_NOT_CLOSED_KEY, webhook) == 1 then
    not_closed[#not_closed + 1] = webhook
  end
end
for stream, seq in pairs(high) do
  local known = tonumber(redis.call('HGET', HIGH_KEY, stream) or '0')
  if seq > known and not is_before_reset(stream, high_at[stream]) then
    redis.call('HSET', HIGH_KEY, stream, seq)
  end
end
local all_refused = table.concat(refused, ' ')
if earlier > 0 then all_refused = last_refused .. ' ' .. all_refused end
redis.call('HSET', last_write, 'number', call_number, 'refused', all_refused)
if earlier == 0 then redis.call('PEXPIRE', last_write, LAST_WRITE_TTL) end
return { not_closed, failing, refused, throttled }
