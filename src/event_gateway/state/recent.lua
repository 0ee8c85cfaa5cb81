-- Lists deliveries of a webhook. ARGV: webhook, status ('': any), from and until when they have
-- changed last (ms, '': any), how many, the score and the member behind which to go on ('': at the
-- beginning), for how many ms one is held for its attempt at most, and 1 where the webhook is
-- ordered. Looks at RECENT of them at most, whatever waits.
-- Answers {rows, score and member to go on behind ('': that was all)}, rows of the record's fields
-- as named below with the member before.
-- Those that are pending or in progress are in their queue, in the order in which they go, none of
-- them later than one is held; all others are those that have changed last, the latest first.
local webhook, status, limit = ARGV[1], ARGV[2], tonumber(ARGV[5])
local from, till = tonumber(ARGV[3]), tonumber(ARGV[4])
local after, after_member = tonumber(ARGV[6]), ARGV[7]
local latest = now + tonumber(ARGV[8])
-- What is ordered is kept out of the queue.
local queued = (status == 'pending' or status == 'in_progress') and ARGV[9] == '0'
local list = prefix .. (queued and 'queue:' or 'recent:') .. webhook
local entries, rank
if queued then
  -- One that has moved meanwhile, as it was taken or failed, says nothing of where to go on.
  local moved = after and tonumber(redis.call('ZSCORE', list, after_member) or '') ~= after
  rank = after and not moved and redis.call('ZRANK', list, after_member)
  if rank then
    entries = redis.call('ZRANGE', list, rank + 1, rank + RECENT, 'WITHSCORES')
  else
    -- Who holds one has it until its lease ends, which is to come.
    local least = after or (status == 'in_progress' and '(' .. now) or '-inf'
    entries = redis.call('ZRANGEBYSCORE', list, least, '+inf', 'WITHSCORES', 'LIMIT', 0, RECENT)
  end
else
  entries = redis.call('ZREVRANGEBYSCORE', list, after or '+inf', '-inf', 'WITHSCORES',
    'LIMIT', 0, RECENT)
end

local rows, last, looked, over = {}, {}, 0, false
for position = 1, #entries, 2 do
  local member, score = entries[position], tonumber(entries[position + 1])
  local before = false
  if after and not rank and score == after then
    before = queued and member <= after_member or not queued and member >= after_member
  end
  if queued and score > latest then
    over = true   -- what is behind waits for its next attempt
    break
  end
  if not before and #rows == limit then break end
  looked = position
  last = { entries[position + 1], member }
  if not before then
    local key = prefix .. 'delivery:' .. webhook .. ':' .. member
    -- Most of what is looked at may not be wanted: that is told by these two alone.
    local have = redis.call('HMGET', key, 'status', 'timestamp')
    local at = tonumber(have[2] or '')
    if not have[1] then
      if not queued then redis.call('ZREM', list, member) end   -- it has expired
    elseif (status == '' or have[1] == status) and (not from or at >= from)
        and (not till or at < till) then
      local record = redis.call('HMGET', key, 'v', 'source', 'status', 'timestamp', 'attempts',
        'last_error', 'next_attempt_at', 'stream', 'seq', 'run', 'repeats')
      table.insert(record, 1, member)
      rows[#rows + 1] = record
    end
  end
end
local more = looked > 0 and not over and (looked + 1 < #entries or #entries == 2 * RECENT)
return { rows, more and last or { '', '' } }
