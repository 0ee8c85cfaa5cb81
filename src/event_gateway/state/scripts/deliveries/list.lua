-- Lists deliveries of a webhook.
-- ARGV: webhook, status ('': any), begin and end of the time of the last change (ms, '': any),
-- limit, score and member of the delivery after which the page begins ('': the first page), the
-- longest lease in ms, 1 if the webhook is ordered. Reads at most MAX_RECENT deliveries.
-- Returns {{member, record}, …}, {score, member} after which the next page begins ('', '': there
-- is none), and {the number of deliveries on all pages, 1 if there may be fewer}.
-- Deliveries that are pending, retrying or in progress are read from their queue, in the order of
-- their attempts; those that are pending or in progress have none later than the longest lease.
-- Other deliveries are read from `recent`, the latest first.
-- include shared/clock.lua
-- include shared/timestamp.lua
-- include shared/recent.lua
local webhook, status, from, till, limit, after, after_member, longest_lease, ordered = unpack(ARGV)
limit, after = tonumber(limit), tonumber(after)
from = from ~= '' and iso8601(tonumber(from))
till = till ~= '' and iso8601(tonumber(till))
local latest = now + tonumber(longest_lease)
-- Deliveries of ordered webhooks are not queued.
local waiting = status == 'pending' or status == 'in_progress' or status == 'retrying'
local queued = waiting and ordered == '0'
local list = queued and queue_key(webhook) or recent_key(webhook)
local least = status == 'in_progress' and '(' .. now or '-inf'
local most = queued and status ~= 'retrying' and latest or '+inf'
local entries, rank
if queued then
  -- A delivery that has moved in the queue since the last page (it was leased, or failed) gives no
  -- rank to continue from.
  local moved = after and tonumber(redis.call('ZSCORE', list, after_member) or '') ~= after
  rank = after and not moved and redis.call('ZRANK', list, after_member)
  if rank then
    entries = redis.call('ZRANGE', list, rank + 1, rank + MAX_RECENT, 'WITHSCORES')
  else
    -- The score of a delivery in progress is the end of its lease, which is in the future.
    entries = redis.call('ZRANGEBYSCORE', list, after or least, '+inf', 'WITHSCORES',
      'LIMIT', 0, MAX_RECENT)
  end
else
  entries = redis.call('ZREVRANGEBYSCORE', list, after or '+inf', '-inf', 'WITHSCORES',
    'LIMIT', 0, MAX_RECENT)
end

-- Whether a delivery is one of those to list; nil if its record has expired.
local function is_listed(member)
  -- Two fields first: most of the deliveries may have another status or time.
  local key = delivery_key(webhook, member)
  local recorded, at = unpack(redis.call('HMGET', key, 'status', 'timestamp'))
  if not recorded then return nil end
  at = at and timestamp_text(at)
  return (status == '' or recorded == status) and (not from or at >= from)
    and (not till or at < till)
end

-- How many deliveries are listed, and 1 if there may be fewer. Looks at MAX_RECENT at most.
local function count_all()
  local size = redis.call('ZCOUNT', list, least, most)
  if size > MAX_RECENT then return { size, 1 } end
  local total = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', list, least, most)) do
    if is_listed(member) then total = total + 1 end
  end
  return { total, 0 }
end

local rows, last, read, beyond_leases = {}, {}, 0, false
for index = 1, #entries, 2 do
  local member, score = entries[index], tonumber(entries[index + 1])
  local before = false
  if after and not rank and score == after then
    before = queued and member <= after_member or not queued and member >= after_member
  end
  if queued and status ~= 'retrying' and score > latest then
    beyond_leases = true   -- this delivery and all after it wait for their next attempt
    break
  end
  if not before and #rows == limit then break end
  read = index
  last = { entries[index + 1], member }
  if not before then
    local listed = is_listed(member)
    if listed == nil then
      if not queued then redis.call('ZREM', list, member) end   -- its record has expired
    elseif listed then
      local key = delivery_key(webhook, member)
      rows[#rows + 1] = { member, redis.call('HMGET', key, unpack(LISTED_FIELDS)) }
    end
  end
end
local more = read > 0 and not beyond_leases
  and (read + 1 < #entries or #entries == 2 * MAX_RECENT)
local total = (after or more) and count_all() or { #rows, 0 }
return { rows, more and last or { '', '' }, total }
