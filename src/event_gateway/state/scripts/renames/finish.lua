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

-- Where an ordered webhook goes on; that of the new id is the later one.
local positions = redis.call('HGETALL', position_key(former))
for index = 1, #positions, 2 do
  redis.call('HSETNX', position_key(webhook), positions[index], positions[index + 1])
end
add_counts(stats_key(former), stats_key(webhook), STATS_TTL)
add_counts(hours_key(former), hours_key(webhook), HOURS_TTL)
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
