-- Remembers a batch of events, and returns which remembered events are related to each.
-- ARGV: msgpack array of CachedEvent (an empty item: the event is not remembered), longest chain,
-- limit of related events, 1 to remember nothing, 1 if the caller routes the events, ms within
-- which an event that is published again is a duplicate.
-- Returns {for each event {chain, related}: arrays of items, root first and newest first},
-- {index of a duplicate, stream and sequence of the event that it duplicates, …}.
local packed_events, max_chain, max_related, read_only, routes, window = unpack(ARGV)
max_chain, max_related, window = tonumber(max_chain), tonumber(max_related), tonumber(window)
local events = cmsgpack.unpack(packed_events)
local MAX_INDEXED = 3 * max_related

-- By time, not by sequence: related events can be in several streams.
local function index(key, time, item)
  redis.call('ZADD', key, 'NX', string.format('%.0f', time), item)
  redis.call('ZREMRANGEBYRANK', key, 0, -MAX_INDEXED - 1)
  redis.call('PEXPIRE', key, EVENT_TTL)
end

-- The position of which an event is a duplicate. `first` is where the event stood that was routed
-- under this source and id: "stream seq time". An event takes its place if it is later than the
-- window; else only an event at that same position, which has come again, is no duplicate.
local function duplicate_of(event, key, first)
  local position = event[CACHED_EVENT_POSITION]
  if first == position then return end
  local stream, seq, at = string.match(first or '', '^(%S+) (%d+) (%d+)$')
  local since = at and event[CACHED_EVENT_AT] / 1000 - tonumber(at)
  if not at or since > window then
    if routes == '1' then redis.call('HSET', key, 'first', position) end
  elseif since >= -window then
    return stream, tonumber(seq)
  end
end

-- Returns what duplicate_of does.
local function remember(event)
  local source, item = event[CACHED_EVENT_SOURCE], event[CACHED_EVENT_ITEM]
  local time = event[CACHED_EVENT_AT]
  local subject, correlation = event[CACHED_EVENT_SUBJECT], event[CACHED_EVENT_CORRELATION]
  local key = event_key(event[CACHED_EVENT_ID])
  local known, first = unpack(redis.call('HMGET', key, 'source', 'first'))
  if known and known ~= source then
    key = key .. '~' .. event[CACHED_EVENT_SOURCE_HASH]
    known, first = unpack(redis.call('HMGET', key, 'source', 'first'))
  end
  local stream, seq
  -- An event of a third source can have an id that looks like this key: it is another event.
  if known and known ~= source then
    stream = nil
  elseif known then
    stream, seq = duplicate_of(event, key, first)
  else
    redis.call('HSET', key, 'source', source, 'type', event[CACHED_EVENT_TYPE],
      'time', event[CACHED_EVENT_TIME], 'item', item, 'correlation', correlation,
      'causation', event[CACHED_EVENT_CAUSATION],
      'first', routes == '1' and event[CACHED_EVENT_POSITION] or '')
    redis.call('PEXPIRE', key, EVENT_TTL)
  end
  if subject ~= '' then index(related_by_subject_key(subject), time, item) end
  if correlation ~= '' then index(related_by_correlation_key(correlation), time, item) end
  return stream, seq
end

-- The remembered events that caused this event: by its causation id, else its correlation id.
local function chain_of(event)
  local chain, seen = {}, { [event[CACHED_EVENT_ID]] = true }
  local causation, correlation = event[CACHED_EVENT_CAUSATION], event[CACHED_EVENT_CORRELATION]
  local parent = causation ~= '' and causation or correlation
  while parent ~= '' and not seen[parent] and #chain < max_chain do
    seen[parent] = true
    local item
    item, causation, correlation =
      unpack(redis.call('HMGET', event_key(parent), 'item', 'causation', 'correlation'))
    if not item then break end
    table.insert(chain, 1, item)
    parent = causation ~= '' and causation or correlation
  end
  return chain
end

local function related_to(event)
  local subject, correlation = event[CACHED_EVENT_SUBJECT], event[CACHED_EVENT_CORRELATION]
  local keys = {}
  if subject ~= '' then keys[#keys + 1] = related_by_subject_key(subject) end
  if correlation ~= '' then keys[#keys + 1] = related_by_correlation_key(correlation) end
  local merged, seen = {}, { [event[CACHED_EVENT_ITEM]] = true }
  for _, key in ipairs(keys) do
    local items = redis.call('ZREVRANGEBYSCORE', key, string.format('%.0f', event[CACHED_EVENT_AT]),
      '-inf', 'WITHSCORES', 'LIMIT', 0, max_related + 1)
    for at = 1, #items, 2 do
      if not seen[items[at]] then
        seen[items[at]] = true
        merged[#merged + 1] = { item = items[at], time = tonumber(items[at + 1]) }
      end
    end
  end
  table.sort(merged, function(a, b) return a.time > b.time end)
  local related = {}
  for at = 1, math.min(#merged, max_related) do related[at] = merged[at].item end
  return related
end

local duplicates = {}
if read_only ~= '1' then
  for position, event in ipairs(events) do
    if event[CACHED_EVENT_ITEM] ~= '' then
      local stream, seq = remember(event)
      if stream then
        for _, value in ipairs({ position, stream, seq }) do duplicates[#duplicates + 1] = value end
      end
    end
  end
end
local contexts = {}
for position, event in ipairs(events) do
  contexts[position] = { chain_of(event), related_to(event) }
end
return { contexts, duplicates }
