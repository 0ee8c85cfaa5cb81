-- Looks through a part of a webhook's queue for deliveries that are past their deadline, and holds
-- them for their dead letter. ARGV: webhook, where to begin, how many, their longest age in ms,
-- lease in ms, token, format.
-- Answers {rows as a take answers them} and where to go on (-1: nowhere).
local webhook, begin, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local max_age, lease, format = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local queue = prefix .. 'queue:' .. webhook
-- By rank: an offset into a range of scores is counted out one by one by some servers.
local members = redis.call('ZRANGE', queue, begin, begin + count - 1, 'WITHSCORES')
local rows, due = {}, 0
for position = 1, #members, 2 do
  local member, score = members[position], tonumber(members[position + 1])
  if score > now then break end
  due = due + 1
  local key = prefix .. 'delivery:' .. webhook .. ':' .. member
  -- Of hardly any is more than this wanted.
  local have = redis.call('HMGET', key, 'event_at', 'latest')
  local at, latest = tonumber(have[1] or '') or score, tonumber(have[2] or '') or math.huge
  if math.min(at + max_age, latest) <= now then
    local record = redis.call('HMGET', key, 'source', 'stream', 'seq', 'run', 'log', 'status', 'v',
      'event_at', 'repeats', 'letter')
    if record[1] and tonumber(record[7]) <= format then
      redis.call('HSET', key, 'token', ARGV[6])
      -- Who asks for it meanwhile hears that it is held.
      if record[6] ~= 'failed' then redis.call('HSET', key, 'status', 'in_progress') end
      redis.call('ZADD', queue, now + lease, member)
      rows[#rows + 1] = { webhook, member, record[1], record[2], record[3], record[4], record[5],
        record[6], 0, at, record[9] or '', record[10] or '',
        record[5] ~= '' and redis.call('HGET', prefix .. 'answers:' .. webhook, member) or '',
        have[2] or '' }
    end
  end
end
look_again(webhook)
-- What was held has left this part: the rest has moved up.
local on = due < count and -1 or begin + count - #rows
return { rows, on }
