-- Retries or cancels a delivery by hand.
-- ARGV: webhook, event id, source ('': any), source hash, action (retry, cancel), reason, ms for
-- which records of final deliveries are stored, newest format of a record that the caller reads.
-- Returns {result, status of the record}; for a delivery that has ended and needs a new run also
-- its source, stream, seq and the position of its dead letter. ChangeResult in runs.py lists the
-- results.
-- include shared/clock.lua
-- include shared/schedule.lua
-- include shared/find_record.lua
-- include shared/cancel_delivery.lua
local webhook, id, event_source, hash, action, reason, ttl, format = unpack(ARGV)
if event_source == '' then
  event_source = redis.call('HGET', delivery_key(webhook, id), 'source') or ''
end
local member, key, source, status, v, last_error, stream, seq, dead_letter, next_attempt_at =
  find_record(webhook, id, event_source, hash, 'status', 'v', 'last_error', 'stream', 'seq',
    'letter', 'next_attempt_at')
if not source then return { 'none', '' } end
if tonumber(v) > tonumber(format) then return { 'newer', status } end
if FINAL[status] then
  if action == 'cancel' then return { 'ended', status } end
  return { 'needs_run', status, source, stream, seq, dead_letter or '0' }
end
local queue = queue_key(webhook)
local due = redis.call('ZSCORE', queue, member)
if not due then return { 'in_order', status } end
-- Until its lease ends, a delivery is in the backlog of a process, or the process attempts it. A
-- lease from the queue moves the delivery in the queue, and leaves in the record when it was due.
local never_attempted = status == 'pending' and last_error == ''
local moved = tonumber(due) ~= tonumber(next_attempt_at)
local leased = tonumber(due) > now and (status == 'in_progress' or never_attempted or moved)
if leased or status == 'failed' then return { 'in_progress', status } end
if action == 'retry' then
  local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  local first_due = tonumber(first[2])
  redis.call('ZADD', queue, math.min(now, first_due - 1), member)
  redis.call('HSET', key, 'next_attempt_at', now)
  reschedule(webhook)
  return { 'due', status }
end
redis.call('ZREM', queue, member)
cancel_delivery(webhook, member, key, reason, ttl)
count_cancelled(webhook, 1, ttl)
reschedule(webhook)
return { 'cancelled', 'cancelled' }
