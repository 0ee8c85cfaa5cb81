-- Leases due deliveries to a process.
-- ARGV: msgpack array of LeaseRequest, fencing token of the leases, newest format of a record that
-- the caller reads.
-- Returns an array of leased deliveries. While a circuit breaker is open, or the webhook is
-- throttled, no delivery is leased; after an open circuit breaker a single delivery is leased to a
-- single process, as the probe.
-- include shared/clock.lua
-- include shared/schedule.lua
-- include shared/throttle.lua
-- include shared/rate_limit.lua
-- include shared/leased_delivery.lua
local packed_requests, token, format = unpack(ARGV)
format = tonumber(format)
local leased = {}

local function take(webhook, members, lease, probe)
  local queue = queue_key(webhook)
  for _, member in ipairs(members) do
    local key = delivery_key(webhook, member)
    local record = redis.call('HMGET', key, unpack(LEASED_FIELDS))
    if not record[LEASED_SOURCE] then
      redis.call('ZREM', queue, member)
    elseif tonumber(record[LEASED_V]) > format then
      redis.call('ZADD', queue, now + 60000, member)   -- for a newer version of the gateway
    else
      -- It keeps its status until its attempt starts: it may wait in the backlog first.
      redis.call('HSET', key, 'token', token)
      redis.call('ZADD', queue, now + lease, member)
      leased[#leased + 1] = leased_delivery(webhook, member, record, probe)
    end
  end
end

for _, request in ipairs(cmsgpack.unpack(packed_requests)) do
  local webhook, count = request[LEASE_REQUEST_WEBHOOK_ID], request[LEASE_REQUEST_COUNT]
  local probe_lease, limits = request[LEASE_REQUEST_PROBE_LEASE], request[LEASE_REQUEST_LIMITS]
  local breaker, probe = breaker_key(webhook), 0
  local open_until = redis.call('HGET', breaker, 'until')
  if redis.call('SISMEMBER', PAUSED_KEY, webhook) == 1 or throttled_until(webhook) > 0 then
    count = 0
  elseif open_until then
    count, probe = tonumber(open_until) <= now and 1 or 0, 1
  end
  local members = {}
  if count > 0 then
    members = redis.call('ZRANGEBYSCORE', queue_key(webhook), '-inf', now, 'LIMIT', 0, count)
  end
  if #members > 0 and #limits > 0 then
    local allowed, next_permit = permits(webhook, #members, limits)
    for index = #members, allowed + 1, -1 do members[index] = nil end
    if next_permit > now then redis.call('HSET', GATES_KEY, webhook, next_permit) end
  end
  if #members > 0 and probe == 1 then
    redis.call('HSET', breaker, 'state', 'half_open', 'token', token, 'until', now + probe_lease)
    redis.call('HSET', GATES_KEY, webhook, now + probe_lease)
  end
  take(webhook, members, request[LEASE_REQUEST_LEASE], probe)
  reschedule(webhook)
end
return leased
