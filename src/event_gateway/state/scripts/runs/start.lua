-- Starts new runs of deliveries, and stores the progress of the replay that starts them.
-- ARGV: msgpack array of PackedRun (NEW_RUN), format of the records, what starts the runs (retry,
-- or the replay), ms for which dead letters are stored, id of the replay ('': none), the process
-- that runs it, msgpack of ReplayStep.
-- Returns {state of the replay ('': none), greatest depth of a queue, the result of each run}:
-- queued, waiting (the delivery has not ended, its present run continues), done (this replay
-- started it before, or the dead letter was used before), newer (the record has a newer format). If
-- the replay is not running, or another process runs it, the script changes nothing.
-- include shared/clock.lua
-- include shared/timestamp.lua
-- include shared/schedule.lua
-- include shared/responses.lua
-- include shared/find_record.lua
local packed_runs, format, run_by, used_ttl, replay, holder, packed_step = unpack(ARGV)
format = tonumber(format)
local state = ''
if replay ~= '' then
  state = redis.call('HGET', replay_key(replay), 'state') or 'gone'
  if state ~= 'running' then return { state, 0, {} } end
  if redis.call('GET', replay_lease_key(replay)) ~= holder then return { 'lost', 0, {} } end
end

local results, touched, extended = {}, {}, {}
for position, run in ipairs(cmsgpack.unpack(packed_runs)) do
  local webhook, stream, seq = run[NEW_RUN_WEBHOOK], run[NEW_RUN_STREAM], run[NEW_RUN_SEQ]
  local dead_letter = run[NEW_RUN_DEAD_LETTER]
  local member, key, source, status, old_run, v, old_run_by = find_record(webhook,
    run[NEW_RUN_MEMBER], run[NEW_RUN_SOURCE], run[NEW_RUN_SOURCE_HASH], 'status', 'run', 'v',
    'repeats')
  local used, in_use = used_dead_letters_key(webhook), dead_letters_in_use_key(webhook)
  -- An ordered webhook delivers an event that it has not reached yet in its turn; the event has no
  -- record before that.
  local ahead = not source and run[NEW_RUN_ORDERED] == 1 and seq >
    tonumber(redis.call('HGET', position_key(webhook), stream) or '0')
  if source and tonumber(v) > format then
    results[position] = 'newer'
  elseif run[NEW_RUN_ONCE] == 1 and redis.call('ZSCORE', used, dead_letter) then
    results[position] = 'done'
  elseif source and replay ~= '' and old_run_by == run_by then
    results[position] = 'done'
    if dead_letter > 0 then redis.call('ZADD', used, now, dead_letter) end
  elseif source and not FINAL[status] or ahead then
    results[position] = 'waiting'
  else
    forget_responses(webhook, member)
    redis.call('HSET', key, 'v', format, 'status', 'pending', 'timestamp', iso8601(now),
      'attempts', 0, 'last_error', '', 'source', run[NEW_RUN_SOURCE], 'stream', stream, 'seq', seq,
      'run', source and tonumber(old_run) + 1 or 1, 'token', '', 'log', '',
      'next_attempt_at', now, 'event_at', run[NEW_RUN_MAX_AGE_FROM], 'repeats', run_by,
      'latest', run[NEW_RUN_LATEST])
    if dead_letter > 0 then
      redis.call('HSET', key, 'letter', dead_letter)
      redis.call('ZADD', in_use, dead_letter, dead_letter .. ' ' .. member)
      redis.call('PEXPIRE', in_use, used_ttl)
      redis.call('SADD', DEAD_LETTER_USERS_KEY, webhook)
      redis.call('ZADD', used, now, dead_letter)
      extended[used] = true
    end
    redis.call('PERSIST', key)
    redis.call('ZADD', queue_key(webhook), now, member)
    touched[webhook] = true
    results[position] = 'queued'
  end
end
-- Entries older than any stored dead letter are removed here, as new entries extend the key's
-- expiry.
for used in pairs(extended) do
  redis.call('ZREMRANGEBYSCORE', used, '-inf', now - used_ttl)
  redis.call('PEXPIRE', used, used_ttl)
end
for webhook in pairs(touched) do reschedule(webhook) end
local depth = 0
if replay ~= '' then
  local step, key = cmsgpack.unpack(packed_step), replay_key(replay)
  local queued, skipped = 0, step[REPLAY_STEP_LEFT_OUT]
  for _, result in ipairs(results) do
    if result == 'queued' then queued = queued + 1 else skipped = skipped + 1 end
  end
  local before = tonumber(redis.call('HGET', key, 'position') or '0')
  redis.call('HSET', key, 'position', step[REPLAY_STEP_POSITION], 'first', step[REPLAY_STEP_FIRST],
    'updated_at', now)
  -- A step whose answer was lost is sent again: it has been counted, and all its runs are 'done'.
  if step[REPLAY_STEP_POSITION] > before then
    redis.call('HINCRBY', key, 'looked', step[REPLAY_STEP_LOOKED])
    redis.call('HINCRBY', key, 'matched', step[REPLAY_STEP_MATCHED])
    redis.call('HINCRBY', key, 'queued', queued)
    redis.call('HINCRBY', key, 'skipped', skipped)
  end
  redis.call('PEXPIRE', replay_lease_key(replay), step[REPLAY_STEP_LEASE])
  for _, webhook in ipairs(step[REPLAY_STEP_DEPTHS_OF]) do
    depth = math.max(depth, redis.call('ZCARD', queue_key(webhook)))
  end
end
return { state, depth, results }
