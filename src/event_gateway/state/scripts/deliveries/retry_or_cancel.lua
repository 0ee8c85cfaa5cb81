-- Retries or cancels one delivery, on request of the API.
-- ARGV: webhook, event id, source ('': any), source hash, what (retry, cancel), reason, ms for
-- which the records of final deliveries are kept, format.
-- Answers {what was done or why not, the record's status} and, of a delivery that has ended and
-- needs a new run, source, stream, seq and position of its dead letter.
-- include shared/clock.lua
-- include shared/schedule.lua
-- include shared/find_record.lua
-- include shared/cancel_delivery.lua
local webhook, id, wanted_source, hash, what, reason, ttl, format = unpack(ARGV)
if wanted_source == '' then
  wanted_source = redis.call('HGET', delivery_key(webhook, id), 'source') or ''
end
local member, key, source, status, v, last_error, stream, seq, letter = find_record(
  webhook, id, wanted_source, hash, 'status', 'v', 'last_error', 'stream', 'seq', 'letter')
if not source then return { 'none', '' } end
if tonumber(v) > tonumber(format) then return { 'newer', status } end
if FINAL[status] then
  if what == 'cancel' then return { 'ended', status } end
  return { 'anew', status, source, stream, seq, letter or '0' }
end
local queue = queue_key(webhook)
local at = redis.call('ZSCORE', queue, member)
if not at then return { 'in_order', status } end
-- A process that holds the delivery in memory, or attempts it, has it until its lease ends.
local first_wait = status == 'pending' and last_error == ''
local held = tonumber(at) > now and (status == 'in_progress' or first_wait)
if held or status == 'failed' then return { 'held', status } end
if what == 'retry' then
  local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  local first_due = tonumber(first[2])
  redis.call('ZADD', queue, math.min(now, first_due - 1), member)
  redis.call('HSET', key, 'next_attempt_at', now)
  reschedule(webhook)
  return { 'hurried', status }
end
redis.call('ZREM', queue, member)
cancel_delivery(webhook, member, key, reason, ttl)
count_cancelled(webhook, 1, ttl)
reschedule(webhook)
return { 'cancelled', 'cancelled' }
