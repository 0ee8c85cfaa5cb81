-- Lists deliveries of one or more webhooks.
-- ARGV: a packed LIST_REQUEST, the longest lease in ms.
-- Returns for each place of the request: {{{member, score, record}, …}, {score, member} of the last
-- entry that was read, 1 if others follow it, how many were read}.
-- A list of what waits is read from the queue, in the order of the attempts: those that are pending
-- or in progress have none later than the longest lease. Other deliveries are read from `recent`,
-- the latest first.
-- include shared/clock.lua
-- include shared/timestamp.lua
local request = cmsgpack.unpack(ARGV[1])
local latest = now + tonumber(ARGV[2])
local status, count = request[LIST_REQUEST_STATUS], request[LIST_REQUEST_COUNT]
local queued, unless_recent = request[LIST_REQUEST_QUEUED], request[LIST_REQUEST_UNLESS_RECENT]
local till = request[LIST_REQUEST_UNTIL] and iso8601(request[LIST_REQUEST_UNTIL])
local any_time = not till

-- Whether a text comes before another one, by their bytes, as in sorted sets.
local function precedes(text, other)
  for index = 1, math.min(#text, #other) do
    local byte, other_byte = string.byte(text, index), string.byte(other, index)
    if byte ~= other_byte then return byte < other_byte end
  end
  return #text < #other
end

-- The entries from a place on, one more than are asked for, and the member that they follow, where
-- entries of its score may be before it.
local function entries_from(list, bound, member)
  local command = queued and 'ZRANGE' or 'ZREVRANGE'
  if member ~= '' then
    -- A delivery that has moved since the last page (it was leased, or failed) gives no rank.
    local moved = tonumber(redis.call('ZSCORE', list, member) or '') ~= tonumber(bound)
    local rank = not moved and redis.call(queued and 'ZRANK' or 'ZREVRANK', list, member)
    if rank then
      return redis.call(command, list, rank + 1, rank + 1 + count, 'WITHSCORES')
    end
  end
  local first = bound
  if queued then
    if first == '' then first = status == 'in_progress' and '(' .. now or '-inf' end
    return redis.call('ZRANGEBYSCORE', list, first, '+inf', 'WITHSCORES', 'LIMIT', 0, count + 1),
      member
  end
  if first == '' then first = '+inf' end
  return redis.call('ZREVRANGEBYSCORE', list, first, '-inf', 'WITHSCORES', 'LIMIT', 0, count + 1),
    member
end

-- The record of a delivery if it is to be listed; nil if it has expired, false if it is another.
local function listed_record(webhook, member, from)
  local key = delivery_key(webhook, member)
  if status ~= '' or from or not any_time then
    -- Two fields first: most of the deliveries may have another status or time.
    local recorded, at = unpack(redis.call('HMGET', key, 'status', 'timestamp'))
    if not recorded then return nil end
    at = at and timestamp_text(at)
    if status ~= '' and recorded ~= status or from and at < from or till and at >= till then
      return false
    end
  end
  local record = redis.call('HMGET', key, unpack(LISTED_FIELDS))
  return record[LISTED_STATUS] and record or nil
end

local function read_place(place)
  local webhook, from = place[LIST_PLACE_WEBHOOK], place[LIST_PLACE_SINCE]
  from = from and iso8601(from)
  local recent = recent_key(webhook)
  local list = queued and queue_key(webhook) or recent
  local entries, after = entries_from(list, place[LIST_PLACE_BOUND], place[LIST_PLACE_MEMBER])
  local rows, last, ended, read = {}, { '', '' }, #entries <= 2 * count, 0
  for index = 1, math.min(#entries, 2 * count), 2 do
    local member, score = entries[index], entries[index + 1]
    if queued and status ~= '' and status ~= 'retrying' and tonumber(score) > latest then
      ended = true   -- this delivery and all after it wait for their next attempt
      break
    end
    last, read = { score, member }, read + 1
    local before = after and after ~= '' and tonumber(score) == tonumber(place[LIST_PLACE_BOUND])
      and (member == after or precedes(member, after) == queued)
    if not before and not (unless_recent and redis.call('ZSCORE', recent, member)) then
      local record = listed_record(webhook, member, from)
      if record then
        rows[#rows + 1] = { member, score, record }
      elseif record == nil and not queued then
        redis.call('ZREM', list, member)   -- its record has expired
      end
    end
  end
  return { rows, last, ended and 0 or 1, read }
end

local pages = {}
for index, place in ipairs(request[LIST_REQUEST_PLACES]) do pages[index] = read_place(place) end
return pages
