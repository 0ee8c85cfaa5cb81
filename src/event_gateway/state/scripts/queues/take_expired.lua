-- Reads a part of a webhook's queue, and leases the due deliveries that are past their deadline to
-- the process that will write their dead letters.
-- ARGV: webhook, rank of the first delivery, number of deliveries, longest age of a delivery in ms,
-- lease in ms, token, newest format of a record that the caller reads.
-- Returns {leased deliveries} and the rank of the next call (-1: all due deliveries were read).
-- include shared/clock.lua
-- include shared/schedule.lua
-- include shared/leased_delivery.lua
local webhook, begin, limit, max_age, lease, token, format = unpack(ARGV)
begin, limit, max_age, lease = tonumber(begin), tonumber(limit), tonumber(max_age), tonumber(lease)
format = tonumber(format)
local queue = queue_key(webhook)
-- By rank: for an offset into a range of scores some servers count member by member.
local members = redis.call('ZRANGE', queue, begin, begin + limit - 1, 'WITHSCORES')
local leased, due = {}, 0
for index = 1, #members, 2 do
  local member, score = members[index], tonumber(members[index + 1])
  if score > now then break end
  due = due + 1
  local key = delivery_key(webhook, member)
  -- Two fields first: hardly any of the deliveries is past its deadline.
  local event_at, latest = unpack(redis.call('HMGET', key, 'event_at', 'latest'))
  event_at, latest = tonumber(event_at or '') or score, tonumber(latest or '') or math.huge
  if math.min(event_at + max_age, latest) <= now then
    local record = redis.call('HMGET', key, unpack(LEASED_FIELDS))
    if record[LEASED_SOURCE] and tonumber(record[LEASED_V]) <= format then
      redis.call('HSET', key, 'token', token)
      redis.call('ZADD', queue, now + lease, member)
      record[LEASED_EVENT_AT] = event_at
      leased[#leased + 1] = leased_delivery(webhook, member, record, 0)
    end
  end
end
reschedule(webhook)
-- The leased deliveries have left this part of the queue, so the others have moved up.
local next_rank = due < limit and -1 or begin + limit - #leased
return { leased, next_rank }
