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
-- include shared/known_events.lua
-- include shared/latest_events.lua
-- An event that is read again after an hour is likely to be read again: its enrichment is kept for
-- longer than the pause between two attempts.
local READ_LATE = 3600000
local LONGER = 2 * EVENT_TTL
local MAX_SIZE = 8192 -- bytes of a chain, and of related events; what is further away is left out
local keeps = { [READING_KEEP] = true, [READING_NOTE] = true }
local INCOMPLETE = ',"incomplete":true'

local function enrichment(processed_at, version_then, chain, related, mark)
  return '{"processed_at":"' .. processed_at .. '","gateway_version":"' .. version_then
    .. '","correlation_chain":[' .. chain .. '],"related_events":[' .. related .. ']' .. mark .. '}'
end

-- The position of which an event is a duplicate. FIRST is where the event stood that was routed
-- under this source and id: "stream seq time". An event takes its place if it is later than the
-- window, or if the sequences of that stream have gone back since; else only an event at that same
-- position, which has come again, is no duplicate.
local function duplicate_of(event, key)
  local former, position = known[key], event[CACHED_EVENT_POSITION]
  if former[FIRST] == position then return end
  local stream, seq, at = string.match(former[FIRST], '^(%S+) (%d+) (%d+)$')
  local since = at and event[CACHED_EVENT_AT] / 1000 - tonumber(at)
  if not at or since > window or is_before_reset(stream, at) then
    if routes == '1' then
      if former[MADE_FOR] == SAME then former[MADE_FOR] = former[FIRST] end
      former[FIRST], is_changed[key] = position, true
    end
  elseif since >= -window then
    return stream, tonumber(seq)
  end
end

-- The remembered events that caused this event: by its causation id, else its correlation id.
local function chain_of(event)
  local causation, correlation = event[CACHED_EVENT_CAUSATION], event[CACHED_EVENT_CORRELATION]
  local parent = causation ~= '' and causation or correlation
  if parent == '' then return '' end
  local chain, seen = {}, { [event[CACHED_EVENT_ID]] = true }
  local size = 0
  while parent ~= '' and not seen[parent] and #chain < max_chain do
    seen[parent] = true
    local cause = known_at(event_key(parent))
    size = size + (cause and #cause[ITEM] or 0)
    if not cause or size > MAX_SIZE then break end
    table.insert(chain, 1, cause[ITEM])
    parent = cause[CAUSATION] ~= '' and cause[CAUSATION] or cause[CORRELATION]
  end
  return table.concat(chain, ',')
end

local function has_links(event)
  return event[CACHED_EVENT_SUBJECT] ~= '' or event[CACHED_EVENT_CORRELATION] ~= ''
    or event[CACHED_EVENT_CAUSATION] ~= ''
end

-- Whether the enrichment that was made for a position is that of the event: the event was at the
-- same position since the sequences of that stream have gone back, or is published again within the
-- window, or the caller does not know its position.
local function is_for(event, made_for)
  local position = event[CACHED_EVENT_POSITION]
  if position == made_for or position == '' then return true end
  local stream, seq, at = string.match(made_for, '^(%S+) (%d+) (%d+)$')
  local place = stream .. ' ' .. seq .. ' '
  return math.abs(event[CACHED_EVENT_AT] / 1000 - tonumber(at)) <= window
    or (string.sub(position, 1, #place) == place and not is_before_reset(stream, at))
end

-- The enrichment that is stored with a known event, if it is that of the event.
local function text_with(former, event)
  local made_for = former[MADE_FOR] == SAME and former[FIRST] or former[MADE_FOR]
  if made_for and is_for(event, made_for) then
    local related = resolved(former[RELATED], former[ITEM], max_related, MAX_SIZE)
    return enrichment(processed_at_of(former, event, made_for), former[VERSION], former[CHAIN],
      related, '')
  end
end

-- The key for the enrichment of an event that has no place in `event:{id}`: another event of this
-- source and id has it, or of another source, or it is not remembered. Stored is the position of
-- its event, and the text.
local function own_key(event)
  local stream, seq = string.match(event[CACHED_EVENT_POSITION], '^(%S+) (%d+)')
  return enrichment_key(stream, seq)
end

local function text_under(key, event)
  local made_for, text = string.match(redis.call('GET', key) or '', '^(%S+ %d+ %d+) (.*)$')
  return made_for and is_for(event, made_for) and text or nil
end

-- Stores an enrichment with a known event that has none.
local function store_with(key, event, chain, related)
  local former, position = known[key], event[CACHED_EVENT_POSITION]
  is_changed[key] = true
  former[MADE_FOR] = former[FIRST] == position and SAME or position
  former[PROCESSED_AT] = event[CACHED_EVENT_PROCESSED_THEN] and SAME
    or event[CACHED_EVENT_PROCESSED_AT]
  former[VERSION] = version
  former[CHAIN], former[RELATED] = chain, related
end

-- Stores the text of an enrichment under the event's own key unless there is one; returns the one
-- that is stored.
local function store_under_own_key(event, text)
  local key = own_key(event)
  local stored = text_under(key, event)
  if stored then return stored end
  -- There is none, or one of a former stream.
  redis.call('SET', key, event[CACHED_EVENT_POSITION] .. ' ' .. text, 'PX', ENRICHMENT_TTL)
  return text
end

local duplicates = {}

-- The event that is known under a key.
local function find(key, mode)
  local former = known_at(key)
  if is_former[key] and mode ~= READING_PEEK and mode ~= READING_PREVIEW then
    is_changed[key] = true
  end
  return former
end

-- Looks an event up, and remembers it if it is new. Returns the text of its enrichment if there is
-- one, its key, whether the event with that key is this event, and whether it was known. `key` is
-- that of the first event with this id; an event of another source has a hash of it behind the id.
local function look_up(number, event, key)
  local mode, item = event[CACHED_EVENT_MODE], event[CACHED_EVENT_ITEM]
  local former = find(key, mode)
  if former and not is_of_source(former, item) then
    key = event_key(event[CACHED_EVENT_ID] .. '~' .. event[CACHED_EVENT_SOURCE_HASH])
    former = find(key, mode)
  end
  -- An event of a third source can have an id that looks like this key: it is another event.
  local is_own = item ~= '' and (not former or is_of_source(former, item))
  local kept_at = key
  local text = is_own and former and text_with(former, event) or nil
  if not text and event[CACHED_EVENT_POSITION] ~= '' and (not is_own or former and former[MADE_FOR])
  then
    kept_at = own_key(event)
    text = text_under(kept_at, event)
  end
  if text and now - event[CACHED_EVENT_AT] / 1000 > READ_LATE and mode ~= READING_PREVIEW then
    redis.call('PEXPIRE', kept_at, LONGER)
    if kept_at == key and has_references(former[RELATED]) then  -- the lists do not live longer
      former[RELATED] = resolved(former[RELATED], former[ITEM], max_related, MAX_SIZE)
      is_changed[key] = true
    end
  end
  if not keeps[mode] or not is_own then return text, key, is_own, false end
  if former then
    local stream, seq = duplicate_of(event, key)
    if stream then
      for _, value in ipairs({ number, stream, seq }) do duplicates[#duplicates + 1] = value end
    end
    return text, key, is_own, true
  end
  local new = {
    item, event[CACHED_EVENT_CORRELATION], event[CACHED_EVENT_CAUSATION],
    routes == '1' and event[CACHED_EVENT_POSITION] or '',
  }
  known[key], is_new[key] = new, true
  if event[CACHED_EVENT_PROCESSED_AT] ~= '' and not has_links(event) then
    store_with(key, event, '', '')
    text = enrichment(event[CACHED_EVENT_PROCESSED_AT], version, '', '', '')
  end
  return text, key, is_own, false
end

local texts, keys, own, were_known = {}, {}, {}, {}
for number, event in ipairs(events) do keys[number] = event_key(event[CACHED_EVENT_ID]) end
read_known(keys)
local subject_keys, correlation_keys = {}, {}
for number, event in ipairs(events) do
  local text
  text, keys[number], own[number], were_known[number] = look_up(number,
    event, keys[number])
  texts[number] = text or ''
  local mode = event[CACHED_EVENT_MODE]
  if not text and (keeps[mode] or mode == READING_PREVIEW) then
    local subject, correlation = event[CACHED_EVENT_SUBJECT], event[CACHED_EVENT_CORRELATION]
    if subject ~= '' then
      subject_keys[number] = latest_of_subject_key(subject)
      needs_latest(subject_keys[number])
    end
    if correlation ~= '' then
      correlation_keys[number] = latest_of_correlation_key(correlation)
      needs_latest(correlation_keys[number])
    end
  end
end
read_latest()
local function add_to(key, number, event)
  local item = event[CACHED_EVENT_ITEM]
  if not (were_known[number] and has_item(lists[key], item)) then
    add_latest(key, event[CACHED_EVENT_AT], item, now, LATEST_OF_SUBJECT_TTL)
  end
end
for number, event in ipairs(events) do
  local adds = keeps[event[CACHED_EVENT_MODE]] and event[CACHED_EVENT_ITEM] ~= ''
  if texts[number] == '' and adds then
    if subject_keys[number] then add_to(subject_keys[number], number, event) end
    if correlation_keys[number] then add_to(correlation_keys[number], number, event) end
  end
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
write_latest(now, LATEST_OF_SUBJECT_TTL, max_related)

local function related_to(number, event)
  local of_subject, of_correlation = lists[subject_keys[number] or ''],
    lists[correlation_keys[number] or '']
  local list = of_subject or of_correlation or NO_LIST
  local other = of_subject and of_correlation or NO_LIST
  if list == NO_LIST and other == NO_LIST then return '' end
  return latest_until(list, other, event[CACHED_EVENT_AT], event[CACHED_EVENT_ITEM], max_related,
    MAX_SIZE)
end

-- The same as references; nil if these cannot lead to all of it.
local function references_of(number, event)
  local time, item = event[CACHED_EVENT_AT], event[CACHED_EVENT_ITEM]
  local subject, correlation = subject_keys[number], correlation_keys[number]
  local first = subject and reference_to(subject, time, item) or not subject and ''
  local second = correlation and reference_to(correlation, time, item) or not correlation and ''
  return first and second and first .. second or nil
end

-- Makes the enrichment of an event, and stores it where that is to be; returns its text, or '' if
-- it is stored and no reader wants it yet.
local function make(number, event)
  local mode, processed_at = event[CACHED_EVENT_MODE], event[CACHED_EVENT_PROCESSED_AT]
  if mode == READING_LATE then return enrichment(processed_at, version, '', '', INCOMPLETE) end
  local chain, key, stored = chain_of(event), keys[number], nil
  local former = own[number] and known[key]
  if keeps[mode] and former then
    if former[MADE_FOR] then  -- by this batch, which has the event twice
      local text = text_with(former, event)
      if text then return text end
    else
      -- A reader that follows the references leaves out the event that the cache knows.
      stored = former[ITEM] == event[CACHED_EVENT_ITEM] and references_of(number, event)
      if stored then
        store_with(key, event, chain, stored)
        if mode == READING_NOTE then return '' end
      end
    end
  end
  local related = related_to(number, event)
  local text = enrichment(processed_at, version, chain, related, '')
  if not keeps[mode] or stored then return text end
  if former and not former[MADE_FOR] then
    store_with(key, event, chain, related)
    return text
  end
  return store_under_own_key(event, text)
end

-- Only now, so that an event finds its causes in the whole batch.
for number, event in ipairs(events) do
  local mode = event[CACHED_EVENT_MODE]
  if texts[number] == '' and event[CACHED_EVENT_PROCESSED_AT] ~= '' and mode ~= READING_PEEK then
    texts[number] = make(number, event)
  end
  if mode == READING_NOTE then texts[number] = '' end
end
write_known(EVENT_TTL)
return { texts, duplicates }
