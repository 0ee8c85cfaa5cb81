-- Lists deliveries of a webhook. ARGV: webhook, status ('': any), from and until when they have
-- changed last (ms, '': any), how many, and the score and the member behind which to go on ('': at
-- the beginning). Looks at RECENT of them at most, whatever waits.
-- Answers {rows, score and member to go on behind ('': that was all)}, rows of the record's fields
-- as named below with the member before.
-- Those that wait are in their queue, in the order in which they go; all others are those that have
-- changed last, the latest first.
local webhook, status, limit = ARGV[1], ARGV[2], tonumber(ARGV[5])
local from, till = tonumber(ARGV[3]), tonumber(ARGV[4])
local after, after_member = tonumber(ARGV[6]), ARGV[7]
local queued = status == 'pending' or status == 'in_progress'
local key = prefix .. (queued and 'queue:' or 'recent:') .. webhook
local entries, skip = nil, false
if queued then
  local rank = after and redis.call('ZRANK', key, after_member)
  if rank then
    entries = redis.call('ZRANGE', key, rank + 1, rank + RECENT, 'WITHSCORES')
  else
    -- Who holds one has it until its lease ends, which is to come.
    local least = after or (status == 'in_progress' and '(' .. now) or '-inf'
    entries = redis.call('ZRANGEBYSCORE', key, least, '+inf', 'WITHSCORES', 'LIMIT', 0, RECENT)
  end
else
  entries = redis.call('ZREVRANGEBYSCORE', key, after or '+inf', '-inf', 'WITHSCORES',
    'LIMIT', 0, RECENT)
end

local rows, last, looked = {}, {}, 0
for position = 1, #entries, 2 do
  local member, score = entries[position], tonumber(entries[position + 1])
  local before = not queued and after and score == after and member >= after_member
  if not before then
    if #rows == limit then break end
    looked = position
    last = { entries[position + 1], member }
    local record = redis.call('HMGET', prefix .. 'delivery:' .. webhook .. ':' .. member, 'v',
      'source', 'status', 'timestamp', 'attempts', 'last_error', 'next_attempt_at', 'stream', 'seq',
      'run', 'repeats')
    local at = tonumber(record[4] or '')
    if not record[1] then
      if not queued then redis.call('ZREM', key, member) end   -- it has expired
    elseif (status == '' or record[3] == status) and (not from or at >= from)
        and (not till or at < till) then
      table.insert(record, 1, member)
      rows[#rows + 1] = record
    end
  end
end
local more = looked > 0 and (looked + 1 < #entries or #entries == 2 * RECENT)
return { rows, more and last or { '', '' } }
