-- Remembers a batch of events, and returns the enrichment of each. The first caller makes it, from
-- what is remembered by then; all others get the same text.
-- ARGV: msgpack array of CachedEvent, longest chain, limit of related events, 1 if the caller
-- routes the events, ms within which an event that is published again is a duplicate, the version
-- of the gateway, the caller's time (ms); for events that the caller routes, also what
-- shared/index.lua says.
-- Returns {enrichment of each event, JSON; '' where there is none},
-- {index of a duplicate, stream and sequence of the event that it duplicates, …}.
local packed_events, max_chain, max_related, routes, window, version, now = unpack(ARGV)
max_chain, max_related, window = tonumber(max_chain), tonumber(max_related), tonumber(window)
now = tonumber(now)
local events = cmsgpack.unpack(packed_events)
-- include shared/resets.lua
-- include shared/index.lua
local MAX_INDEXED = 3 * max_related
-- An event that is read again after an hour is likely to be read again: its enrichment is kept for
-- longer than the pause between two attempts.
local READ_LATE = 3600000
local LONGER = 2 * EVENT_TTL
local MAX_SIZE = 8192 -- bytes of a chain, and of related events; what is further away is left out
local INCOMPLETE = ',"incomplete":true'

-- By time, not by sequence: related events can be in several streams.
local function index(key, time, item)
  redis.call('ZADD', key, 'NX', string.format('%.0f', time), item)
  redis.call('ZREMRANGEBYRANK', key, 0, -MAX_INDEXED - 1)
  redis.call('PEXPIRE', key, EVENT_TTL)
end

-- The position of which an event is a duplicate. `first` is where the event stood that was routed
-- under this source and id: "stream seq time". An event takes its place if it is later than the
-- window, or if the sequences of that stream have gone back since; else only an event at that same
-- position, which has come again, is no duplicate.
local function duplicate_of(event, key, first)
  local position = event[CACHED_EVENT_POSITION]
  if first == position then return end
  local stream, seq, at = string.match(first or '', '^(%S+) (%d+) (%d+)$')
  local since = at and event[CACHED_EVENT_AT] / 1000 - tonumber(at)
  if not at or since > window or is_before_reset(stream, at) then
    if routes == '1' then redis.call('HSET', key, 'first', position) end
  elseif since >= -window then
    return stream, tonumber(seq)
  end
end

-- The remembered events that caused this event: by its causation id, else its correlation id.
local function chain_of(event)
  local chain, seen = {}, { [event[CACHED_EVENT_ID]] = true }
  local causation, correlation = event[CACHED_EVENT_CAUSATION], event[CACHED_EVENT_CORRELATION]
  local parent = causation ~= '' and causation or correlation
  local size = 0
  while parent ~= '' and not seen[parent] and #chain < max_chain do
    seen[parent] = true
    local item
    item, causation, correlation =
      unpack(redis.call('HMGET', event_key(parent), 'item', 'causation', 'correlation'))
    size = size + #(item or '')
    if not item or size > MAX_SIZE then break end
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
  local related, size = {}, 0
  for at = 1, math.min(#merged, max_related) do
    size = size + #merged[at].item
    if size > MAX_SIZE then break end
    related[at] = merged[at].item
  end
  return related
end

local function enrichment(event, chain, related, mark)
  return table.concat({
    '{"processed_at":"', event[CACHED_EVENT_PROCESSED_AT], '","gateway_version":"', version,
    '","correlation_chain":[', table.concat(chain, ','), '],"related_events":[',
    table.concat(related, ','), ']', mark, '}',
  })
end

local function has_links(event)
  return event[CACHED_EVENT_SUBJECT] ~= '' or event[CACHED_EVENT_CORRELATION] ~= ''
    or event[CACHED_EVENT_CAUSATION] ~= ''
end

-- What is stored of an enrichment: the position of its event, as in CachedEvent, and the text.
local function stored_form(event, text) return event[CACHED_EVENT_POSITION] .. ' ' .. text end

-- The text of a stored enrichment, if it is that of the event: the event was at the same position
-- since the sequences of that stream have gone back, or is published again within the window, or
-- the caller does not know its position.
local function text_of(event, stored)
  local stream, seq, at, text = string.match(stored, '^(%S+) (%d+) (%d+) (.*)$')
  local place, position = stream .. ' ' .. seq .. ' ', event[CACHED_EVENT_POSITION]
  if position == '' or math.abs(event[CACHED_EVENT_AT] / 1000 - tonumber(at)) <= window
    or (string.sub(position, 1, #place) == place and not is_before_reset(stream, at)) then
    return text
  end
end

-- The key for the enrichment of an event that has no place in `event:{id}`: another event of this
-- source and id has it, or of another source, or it is not remembered.
local function own_key(event)
  local stream, seq = string.match(event[CACHED_EVENT_POSITION], '^(%S+) (%d+)')
  return enrichment_key(stream, seq)
end

local function keep_under_own_key(event, text)
  local key = own_key(event)
  if redis.call('SET', key, stored_form(event, text), 'NX', 'PX', EVENT_TTL) then return text end
  local stored = text_of(event, redis.call('GET', key))
  if stored then return stored end
  -- There is one of a former stream.
  redis.call('SET', key, stored_form(event, text), 'PX', EVENT_TTL)
  return text
end

-- Stores the enrichment of an event unless there is one; returns the one that is stored.
local function keep(event, key, has_place, text)
  if has_place then
    if redis.call('HSETNX', key, 'enrichment', stored_form(event, text)) == 1 then return text end
    local stored = text_of(event, redis.call('HGET', key, 'enrichment'))
    if stored then return stored end
  end
  return keep_under_own_key(event, text)
end

local duplicates = {}

-- Looks an event up, and remembers it if it is new. Returns the text of its enrichment if there is
-- one, its key, and whether its enrichment has its place there.
local function look_up(number, event)
  local mode, item, source = event[CACHED_EVENT_MODE], event[CACHED_EVENT_ITEM],
    event[CACHED_EVENT_SOURCE]
  local key = event_key(event[CACHED_EVENT_ID])
  local known, first, stored = unpack(redis.call('HMGET', key, 'source', 'first', 'enrichment'))
  if known and known ~= source then
    key = key .. '~' .. event[CACHED_EVENT_SOURCE_HASH]
    known, first, stored = unpack(redis.call('HMGET', key, 'source', 'first', 'enrichment'))
  end
  -- An event of a third source can have an id that looks like this key: it is another event.
  local is_own = item ~= '' and (not known or known == source)
  local kept_at = key
  local text = is_own and stored and text_of(event, stored) or nil
  if not text and (stored or not is_own) and event[CACHED_EVENT_POSITION] ~= '' then
    kept_at = own_key(event)
    local found = redis.call('GET', kept_at)
    text = found and text_of(event, found) or nil
  end
  if text and now - event[CACHED_EVENT_AT] / 1000 > READ_LATE and mode ~= READING_PREVIEW then
    redis.call('PEXPIRE', kept_at, LONGER)
  end
  if mode ~= READING_KEEP or item == '' then return text, key, is_own and not stored end
  if is_own and known then
    local stream, seq = duplicate_of(event, key, first)
    if stream then
      for _, value in ipairs({ number, stream, seq }) do duplicates[#duplicates + 1] = value end
    end
  elseif is_own then
    local fields = {
      'source', source, 'item', item, 'correlation', event[CACHED_EVENT_CORRELATION],
      'causation', event[CACHED_EVENT_CAUSATION],
    }
    if routes == '1' then
      fields[#fields + 1] = 'first'
      fields[#fields + 1] = event[CACHED_EVENT_POSITION]
    end
    if event[CACHED_EVENT_PROCESSED_AT] ~= '' and not has_links(event) then
      text = enrichment(event, {}, {}, '')
      fields[#fields + 1] = 'enrichment'
      fields[#fields + 1] = stored_form(event, text)
    end
    redis.call('HSET', key, unpack(fields))
    redis.call('PEXPIRE', key, EVENT_TTL)
  end
  if not text then
    local subject, correlation = event[CACHED_EVENT_SUBJECT], event[CACHED_EVENT_CORRELATION]
    local at = event[CACHED_EVENT_AT]
    if subject ~= '' then index(related_by_subject_key(subject), at, item) end
    if correlation ~= '' then index(related_by_correlation_key(correlation), at, item) end
  end
  return text, key, is_own and not stored
end

local texts, keys, places = {}, {}, {}
for number, event in ipairs(events) do
  local text, key, has_place = look_up(number, event)
  texts[number], keys[number], places[number] = text or '', key, has_place
end
if #ARGV > 7 then
  add_to_index(8)
  if redis.call('HEXISTS', INDEXED_FROM_KEY, ARGV[9]) == 0 then
    local least = math.huge
    for _, event in ipairs(events) do
      least = math.min(least, tonumber(string.match(event[CACHED_EVENT_POSITION], ' (%d+) ')))
    end
    redis.call('HSET', INDEXED_FROM_KEY, ARGV[9], string.format('%.0f', least))
  end
end
-- Only now, so that an event finds its causes in the whole batch.
for number, event in ipairs(events) do
  local mode = event[CACHED_EVENT_MODE]
  if texts[number] == '' and event[CACHED_EVENT_PROCESSED_AT] ~= '' and mode ~= READING_PEEK then
    if mode == READING_LATE then
      texts[number] = enrichment(event, {}, {}, INCOMPLETE)
    else
      local text = enrichment(event, chain_of(event), related_to(event), '')
      if mode == READING_KEEP then text = keep(event, keys[number], places[number], text) end
      texts[number] = text
    end
  end
end
return { texts, duplicates }
