-- Starts new runs of deliveries, and notes the progress of the replay that asks for them.
-- ARGV: msgpack array of PackedRun (NEW_RUN), format of the records, what asks for the runs, ms
-- for which it is known which dead letters were used, id of the replay ('': none), the process that
-- runs it, msgpack of ReplayStep.
-- Answers {state of the replay ('': none), greatest depth of a queue, the outcome of each run}:
-- queued, waiting (the delivery has not ended, and goes on), done (by this replay, or before),
-- newer (its record is of a newer version).
-- Nothing is done where the replay is not running, or another process runs it.
-- include shared/clock.lua
-- include shared/schedule.lua
-- include shared/responses.lua
-- include shared/find_record.lua
local packed_runs, format, asks, marks_ttl, replay, holder, packed_step = unpack(ARGV)
format = tonumber(format)
local state = ''
if replay ~= '' then
  state = redis.call('HGET', replay_key(replay), 'state') or 'gone'
  if state ~= 'running' then return { state, 0, {} } end
  if redis.call('GET', replay_lease_key(replay)) ~= holder then return { 'lost', 0, {} } end
end

local codes, touched, marked = {}, {}, {}
for position, run in ipairs(cmsgpack.unpack(packed_runs)) do
  local webhook, stream, seq = run[NEW_RUN_WEBHOOK], run[NEW_RUN_STREAM], run[NEW_RUN_SEQ]
  local letter = run[NEW_RUN_LETTER]
  local member, key, source, status, old_run, v, asked = find_record(webhook, run[NEW_RUN_MEMBER],
    run[NEW_RUN_SOURCE], run[NEW_RUN_SOURCE_HASH], 'status', 'run', 'v', 'repeats')
  local marks = repeated_key(webhook)
  -- An event that the ordered webhook has not reached yet is delivered in its turn, though nothing
  -- is recorded of it.
  local ahead = not source and run[NEW_RUN_ORDERED] == 1 and seq >
    tonumber(redis.call('HGET', position_key(webhook), stream) or '0')
  if source and tonumber(v) > format then
    codes[position] = 'newer'
  elseif run[NEW_RUN_ONCE] == 1 and redis.call('ZSCORE', marks, letter) then
    codes[position] = 'done'
  elseif source and replay ~= '' and asked == asks then
    codes[position] = 'done'
    if letter > 0 then redis.call('ZADD', marks, now, letter) end
  elseif source and not FINAL[status] or ahead then
    codes[position] = 'waiting'
  else
    forget_responses(webhook, member)
    redis.call('HSET', key, 'v', format, 'status', 'pending', 'timestamp', now, 'attempts', 0,
      'last_error', '', 'source', run[NEW_RUN_SOURCE], 'stream', stream, 'seq', seq,
      'run', source and tonumber(old_run) + 1 or 1, 'token', '', 'log', '',
      'next_attempt_at', now, 'event_at', run[NEW_RUN_RUNS_FROM], 'repeats', asks,
      'latest', run[NEW_RUN_LATEST])
    if letter > 0 then
      redis.call('HSET', key, 'letter', letter)
      redis.call('ZADD', lent_key(webhook), letter, letter .. ' ' .. member)
      redis.call('PEXPIRE', lent_key(webhook), marks_ttl)
      redis.call('SADD', LENDERS_KEY, webhook)
      redis.call('ZADD', marks, now, letter)
      marked[marks] = true
    end
    redis.call('PERSIST', key)
    redis.call('ZADD', queue_key(webhook), now, member)
    touched[webhook] = true
    codes[position] = 'queued'
  end
end
-- Marks go with their dead letters, also where others are added again and again.
for marks in pairs(marked) do
  redis.call('ZREMRANGEBYSCORE', marks, '-inf', now - marks_ttl)
  redis.call('PEXPIRE', marks, marks_ttl)
end
for webhook in pairs(touched) do reschedule(webhook) end
local depth = 0
if replay ~= '' then
  local step, key = cmsgpack.unpack(packed_step), replay_key(replay)
  local queued, skipped = 0, step[REPLAY_STEP_LEFT_OUT]
  for _, code in ipairs(codes) do
    if code == 'queued' then queued = queued + 1 else skipped = skipped + 1 end
  end
  redis.call('HSET', key, 'position', step[REPLAY_STEP_POSITION], 'first', step[REPLAY_STEP_FIRST],
    'updated_at', now)
  redis.call('HINCRBY', key, 'looked', step[REPLAY_STEP_LOOKED])
  redis.call('HINCRBY', key, 'matched', step[REPLAY_STEP_MATCHED])
  redis.call('HINCRBY', key, 'queued', queued)
  redis.call('HINCRBY', key, 'skipped', skipped)
  redis.call('PEXPIRE', replay_lease_key(replay), step[REPLAY_STEP_LEASE])
  for _, webhook in ipairs(step[REPLAY_STEP_DEPTHS_OF]) do
    depth = math.max(depth, redis.call('ZCARD', queue_key(webhook)))
  end
end
return { state, depth, codes }
