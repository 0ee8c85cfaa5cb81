-- Begins deliveries anew, whatever became of them, and notes how far a replay has come.
-- ARGV[1]: msgpack array of {webhook, event id, source, source hash, stream, seq, from when its
-- time runs (ms), place of the dead letter that is repeated (0: none), when it ends at the latest
-- (ms), 1 where a letter that was repeated before is left out, 1 where the webhook is ordered};
-- ARGV[2]: the format of the records; ARGV[3]: what asks for it; ARGV[4]: for how long in ms it is
-- kept which dead letters were repeated; ARGV[5], ARGV[6]: id of the replay ('': none), and who runs
-- it; ARGV[7]: msgpack of {position, its first, looked at, matched, left out, ms for which it is
-- held, webhooks whose depth is wanted}.
-- Answers {state of the replay ('': none), greatest depth of a queue, what became of each}: queued,
-- waiting (it is on its way anyhow), done (by this same replay, or before), newer (a record of a
-- newer version).
-- Nothing is done where the replay is not to go on, or somebody else runs it.
local format, asks, replay, holder = tonumber(ARGV[2]), ARGV[3], ARGV[5], ARGV[6]
local final = { succeeded = true, dead_letter = true, cancelled = true }
local replay_key = prefix .. 'replay:' .. replay
local state = ''
if replay ~= '' then
  state = redis.call('HGET', replay_key, 'state') or 'gone'
  if state ~= 'running' then return { state, 0, {} } end
  if redis.call('GET', replay_key .. ':holder') ~= holder then return { 'lost', 0, {} } end
end

local codes, touched, marked = {}, {}, {}
for position, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local webhook, id, source, hash, letter = item[1], item[2], item[3], item[4], item[8]
  local member = id
  local key = prefix .. 'delivery:' .. webhook .. ':' .. id
  local have = redis.call('HMGET', key, 'source', 'status', 'run', 'v', 'repeats')
  if have[1] ~= source then
    local other = prefix .. 'delivery:' .. webhook .. ':' .. id .. '~' .. hash
    if have[1] or redis.call('EXISTS', other) == 1 then
      member, key = id .. '~' .. hash, other
      have = redis.call('HMGET', key, 'source', 'status', 'run', 'v', 'repeats')
    end
  end
  local marks = prefix .. 'repeated:' .. webhook
  -- What an ordered webhook has not come to yet is on its way, though nothing is recorded of it.
  local ahead = not have[1] and item[11] == 1 and item[6] >
    tonumber(redis.call('HGET', prefix .. 'position:' .. webhook, item[5]) or '0')
  if have[1] and tonumber(have[4]) > format then
    codes[position] = 'newer'
  elseif item[10] == 1 and redis.call('ZSCORE', marks, letter) then
    codes[position] = 'done'
  elseif have[1] and replay ~= '' and have[5] == asks then
    codes[position] = 'done'
    if letter > 0 then redis.call('ZADD', marks, now, letter) end
  elseif have[1] and not final[have[2]] or ahead then
    codes[position] = 'waiting'
  else
    forget_answers(webhook, member)
    local run = have[1] and tonumber(have[3]) + 1 or 1
    redis.call('HSET', key, 'v', format, 'status', 'pending', 'timestamp', now, 'attempts', 0,
      'last_error', '', 'source', source, 'stream', item[5], 'seq', item[6], 'run', run,
      'token', '', 'log', '', 'next_attempt_at', now, 'event_at', item[7], 'repeats', asks,
      'latest', item[9])
    if letter > 0 then
      redis.call('HSET', key, 'letter', letter)
      redis.call('ZADD', prefix .. 'lent:' .. webhook, letter, letter .. ' ' .. member)
      redis.call('PEXPIRE', prefix .. 'lent:' .. webhook, ARGV[4])
      redis.call('SADD', prefix .. 'lenders', webhook)
      redis.call('ZADD', marks, now, letter)
      marked[marks] = true
    end
    redis.call('PERSIST', key)
    redis.call('ZADD', prefix .. 'queue:' .. webhook, now, member)
    touched[webhook] = true
    codes[position] = 'queued'
  end
end
-- Marks go with their letters, also where others are added again and again.
for marks in pairs(marked) do
  redis.call('ZREMRANGEBYSCORE', marks, '-inf', now - ARGV[4])
  redis.call('PEXPIRE', marks, ARGV[4])
end
local depth = 0
for webhook in pairs(touched) do look_again(webhook) end
if replay ~= '' then
  local far = cmsgpack.unpack(ARGV[7])
  local queued, waiting = 0, 0
  for position, code in ipairs(codes) do
    if code == 'queued' then queued = queued + 1 else waiting = waiting + 1 end
  end
  redis.call('HSET', replay_key, 'position', far[1], 'first', far[2], 'updated_at', now)
  redis.call('HINCRBY', replay_key, 'looked', far[3])
  redis.call('HINCRBY', replay_key, 'matched', far[4])
  redis.call('HINCRBY', replay_key, 'queued', queued)
  redis.call('HINCRBY', replay_key, 'skipped', waiting + far[5])
  redis.call('PEXPIRE', replay_key .. ':holder', far[6])
  for _, webhook in ipairs(far[7]) do
    depth = math.max(depth, redis.call('ZCARD', prefix .. 'queue:' .. webhook))
  end
end
return { state, depth, codes }
