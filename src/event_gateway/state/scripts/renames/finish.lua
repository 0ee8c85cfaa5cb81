-- Adds the counts of a renamed webhook to those of its new id, and deletes everything else of the
-- former id. Its queue must be empty.
-- ARGV: former id, new id, ms for which records of final deliveries are stored.
-- Returns 1; 0 if deliveries are left in the queue, and nothing was done.
-- include shared/counts.lua
-- include shared/recent.lua
local former, webhook, final_ttl = unpack(ARGV)
if redis.call('ZCARD', queue_key(former)) > 0 then return 0 end

local LATEST = { last_success = true, last_failure = true }
local OF_THIS_MINUTE = { minute = true, this = true, before = true }

local function add_counts(from, to, ttl)
  local counts = redis.call('HGETALL', from)
  for index = 1, #counts, 2 do
    local name, value = counts[index], counts[index + 1]
    if LATEST[name] then
      local known = tonumber(redis.call('HGET', to, name) or '0')
      if tonumber(value) > known then redis.call('HSET', to, name, value) end
    elseif not OF_THIS_MINUTE[name] then
      redis.call('HINCRBY', to, name, value)
    end
  end
  if #counts > 0 then redis.call('PEXPIRE', to, ttl) end
end

local function add_members(key_of)
  local from, to = key_of(former), key_of(webhook)
  local members = redis.call('ZRANGE', from, 0, -1, 'WITHSCORES')
  for index = 1, #members, 2 do redis.call('ZADD', to, members[index + 1], members[index]) end
  if #members > 0 then
    redis.call('PEXPIRE', to, math.max(redis.call('PTTL', from), redis.call('PTTL', to)))
  end
end

-- An hour may have two points of one time then: readers add them up.
local function add_history()
  local from, to = webhook_history_key(former), webhook_history_key(webhook)
  local hours = redis.call('HGETALL', from)
  for index = 1, #hours, 2 do
    local hour, stored = hours[index], redis.call('HGET', to, hours[index])
    if not tonumber(hour) then
      redis.call('HSETNX', to, hour, hours[index + 1])
    else
      local points = stored and cmsgpack.unpack(stored) or {}
      for _, point in ipairs(cmsgpack.unpack(hours[index + 1])) do points[#points + 1] = point end
      redis.call('HSET', to, hour, cmsgpack.pack(points))
    end
  end
  if #hours > 0 then
    redis.call('PEXPIRE', to, WEBHOOK_HISTORY_TTL)
    local time = redis.call('ZSCORE', WEBHOOKS_WITH_HISTORY_KEY, former)
    local known = redis.call('ZSCORE', WEBHOOKS_WITH_HISTORY_KEY, webhook)
    if time then
      time = math.max(tonumber(time), tonumber(known or '0'))
      redis.call('ZADD', WEBHOOKS_WITH_HISTORY_KEY, time, webhook)
    end
  end
end

-- Where an ordered webhook goes on; that of the new id is the later one.
local positions = redis.call('HGETALL', position_key(former))
for index = 1, #positions, 2 do
  redis.call('HSETNX', position_key(webhook), positions[index], positions[index + 1])
end
add_counts(stats_key(former), stats_key(webhook), STATS_TTL)
add_counts(hours_key(former), hours_key(webhook), HOURS_TTL)
add_history()
add_members(used_dead_letters_key)
add_members(dead_letters_in_use_key)
if redis.call('SREM', DEAD_LETTER_USERS_KEY, former) == 1 then
  redis.call('SADD', DEAD_LETTER_USERS_KEY, webhook)
end
redis.call('DEL', used_dead_letters_key(former), dead_letters_in_use_key(former))
trim_recent(webhook, final_ttl)
for _, key in ipairs({ responses_key(webhook), responded_key(webhook) }) do
  redis.call('PEXPIRE', key, final_ttl)
end
forget_webhook(former)
redis.call('ZREM', DUE_KEY, former)
return 1
