-- Changes one delivery on request. ARGV: webhook, event id, source ('': any), source hash, what
-- (retry, cancel), reason, expiry of the record in ms, format.
-- Answers {what was done or why not, the record's status and, of one to be begun anew, source,
-- stream, seq, place of its dead letter}.
local webhook, id, source, what = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local final = { succeeded = true, dead_letter = true, cancelled = true }
local queue = prefix .. 'queue:' .. webhook
local member = id
local key = prefix .. 'delivery:' .. webhook .. ':' .. member
local have = redis.call('HMGET', key, 'source', 'status', 'v', 'last_error', 'stream', 'seq', 'letter')
if source ~= '' and have[1] ~= source then
  member = id .. '~' .. ARGV[4]
  key = prefix .. 'delivery:' .. webhook .. ':' .. member
  have = redis.call('HMGET', key, 'source', 'status', 'v', 'last_error', 'stream', 'seq', 'letter')
end
if not have[1] then return { 'none', '' } end
if tonumber(have[3]) > tonumber(ARGV[8]) then return { 'newer', have[2] } end
local status = have[2]
if final[status] then
  if what == 'cancel' then return { 'ended', status } end
  return { 'anew', status, have[1], have[5], have[6], have[7] or '0' }
end
local at = redis.call('ZSCORE', queue, member)
if not at then return { 'in_order', status } end
-- Who holds one in memory for its attempt, or makes that, has it until its lease ends.
local held = tonumber(at) > now and (status == 'in_progress' or status == 'pending' and have[4] == '')
if held or status == 'failed' then return { 'held', status } end
if what == 'retry' then
  local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  redis.call('ZADD', queue, math.min(now, tonumber(first[2]) - 1), member)
  redis.call('HSET', key, 'next_attempt_at', now)
  look_again(webhook)
  return { 'hurried', status }
end
redis.call('ZREM', queue, member)
redis.call('HSET', key, 'status', 'cancelled', 'timestamp', now, 'last_error', ARGV[6], 'token', '',
  'next_attempt_at', '')
redis.call('PEXPIRE', key, ARGV[7])
redis.call('ZADD', prefix .. 'recent:' .. webhook, now, member)
keep_recent(webhook, ARGV[7])
count(webhook, 'cancelled', 1)
look_again(webhook)
return { 'cancelled', 'cancelled' }
