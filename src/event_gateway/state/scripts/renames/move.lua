-- Moves deliveries of a renamed webhook to its new id: record, place in the queue, responses, and
-- the use of a dead letter, each delivery at once.
-- ARGV: former id, new id, msgpack array of MovedDelivery, newest format of a record that the
-- caller reads, 1 if attempts that are recorded as in progress without a lease in the queue may be
-- moved.
-- Returns how many deliveries stay, as an attempt of them may be under way.
-- include shared/clock.lua
-- include shared/schedule.lua
-- include shared/find_record.lua
-- include shared/responses.lua
local former, webhook, packed, format, ended = unpack(ARGV)
format = tonumber(format)
local from, to = queue_key(former), queue_key(webhook)
local stay = 0

local function give_member(key_of, member, target)
  local score = redis.call('ZSCORE', key_of(former), member)
  if score then
    redis.call('ZREM', key_of(former), member)
    if target then redis.call('ZADD', key_of(webhook), score, target) end
  end
  return score
end

-- A delivery waits unless its score is the end of a lease.
local function waits(status, due, next_attempt)
  if due then
    due = tonumber(due)
    return due <= now or status == 'retrying' and tonumber(next_attempt or '') == due
  end
  return FINAL[status] or ended == '1'   -- those of ordered webhooks are not queued
end

for _, moved in ipairs(cmsgpack.unpack(packed)) do
  local member = moved[MOVED_DELIVERY_MEMBER]
  local key, due = delivery_key(former, member), redis.call('ZSCORE', from, member)
  local status, next_attempt, v, letter, seq =
    unpack(redis.call('HMGET', key, 'status', 'next_attempt_at', 'v', 'letter', 'seq'))
  if not status then
    redis.call('ZREM', from, member)
  elseif tonumber(v) > format or not waits(status, due, next_attempt) then
    stay = stay + 1
  else
    local target, target_key, source, known_status, known_seq = find_record(webhook,
      moved[MOVED_DELIVERY_ID], moved[MOVED_DELIVERY_SOURCE], moved[MOVED_DELIVERY_SOURCE_HASH],
      'status', 'seq')
    -- The event may have a delivery under the new id: that one goes on, unless the receiver has
    -- taken the event under the former id.
    if source and not (FINAL[status] and not FINAL[known_status] and known_status ~= 'in_progress'
        and tonumber(known_seq) <= tonumber(seq)) then
      redis.call('DEL', key)
      target = false
    else
      if source then redis.call('ZREM', to, target) end
      redis.call('RENAME', key, target_key)
    end
    local response = redis.call('HGET', responses_key(former), member)
    if response and target then redis.call('HSET', responses_key(webhook), target, response) end
    give_member(responded_key, member, target)
    redis.call('HDEL', responses_key(former), member)
    give_member(recent_key, member, target)
    if letter then
      local in_use = dead_letters_in_use_key(webhook)
      local ttl = redis.call('PTTL', dead_letters_in_use_key(former))
      local entry = target and letter .. ' ' .. target
      if give_member(dead_letters_in_use_key, letter .. ' ' .. member, entry) and target then
        redis.call('PEXPIRE', in_use, math.max(ttl, redis.call('PTTL', in_use), 1))
        redis.call('SADD', DEAD_LETTER_USERS_KEY, webhook)
      end
    end
    redis.call('ZREM', from, member)
    if due and target and not FINAL[status] then redis.call('ZADD', to, due, target) end
  end
end
reschedule(former)
reschedule(webhook)
return stay
