-- Looks through a part of a webhook's queue for deliveries that are past their deadline, and holds
-- them for their dead letter. ARGV: webhook, where to begin, how many, their longest age in ms,
-- lease in ms, token, format.
-- Answers {rows as a take answers them} and where to go on (-1: nowhere).
local webhook, begin, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local max_age, lease, format = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local queue = prefix .. 'queue:' .. webhook
local members = redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'WITHSCORES', 'LIMIT', begin, count)
local rows = {}
for position = 1, #members, 2 do
  local member = members[position]
  local key = prefix .. 'delivery:' .. webhook .. ':' .. member
  local record = redis.call('HMGET', key, 'source', 'stream', 'seq', 'run', 'log', 'status', 'v',
    'event_at', 'repeats', 'letter')
  if record[1] and tonumber(record[7]) <= format then
    local at = tonumber(record[8] or '') or tonumber(members[position + 1])
    if at + max_age <= now then
      redis.call('HSET', key, 'token', ARGV[6])
      redis.call('ZADD', queue, now + lease, member)
      rows[#rows + 1] = { webhook, member, record[1], record[2], record[3], record[4], record[5],
        record[6], 0, at, record[9] or '', record[10] or '',
        record[5] ~= '' and redis.call('HGET', prefix .. 'answers:' .. webhook, member) or '' }
    end
  end
end
look_again(webhook)
-- What was held has left this part: the rest has moved up.
local on = #members < 2 * count and -1 or begin + count - #rows
return { rows, on }
