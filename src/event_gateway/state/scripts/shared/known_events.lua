-- The events that the cache knows. A script reads them at once and writes each at most once; in
-- between they are tables. Stored are these fields, a line each: no attribute of an event has line
-- breaks. Without an enrichment they end before the first field of one.
local ITEM, CORRELATION, CAUSATION, FIRST, MADE_FOR, PROCESSED_AT, VERSION, CHAIN, RELATED =
  1, 2, 3, 4, 5, 6, 7, 8, 9
local SAME = '=' -- in MADE_FOR: the position in FIRST

local known, is_former, is_new, is_changed = {}, {}, {}, {}

local function fields_of(value)
  local fields = {}
  for field in string.gmatch(value .. '\n', '([^\n]*)\n') do fields[#fields + 1] = field end
  return fields
end

-- What version 1.0 has stored with a key, as it is stored now. Processes of both versions may use
-- one Redis: each has its own fields.
local function former_event(key)
  local item, correlation, causation, first, stored = unpack(redis.call('HMGET', key,
    'item', 'correlation', 'causation', 'first', 'enrichment'))
  local event = { item, correlation, causation, first or '' }
  local position, processed_at, version, chain, related = string.match(stored or '',
    '^(%S+ %d+ %d+) {"processed_at":"([^"]*)","gateway_version":"([^"]*)",'
      .. '"correlation_chain":%[(.*)%],"related_events":%[(.*)%]}$')
  if position then
    event[MADE_FOR], event[PROCESSED_AT], event[VERSION] = position, processed_at, version
    event[CHAIN], event[RELATED] = chain, related
  end
  return event
end

-- Reads the events with these keys.
local function read_known(keys)
  for _, key in ipairs(keys) do
    local value, source = unpack(redis.call('HMGET', key, 'known', 'source'))
    is_former[key] = source and not value
    known[key] = value and fields_of(value) or is_former[key] and former_event(key)
  end
end

-- The event with a key; false if there is none.
local function known_at(key)
  if known[key] == nil then read_known({ key }) end
  return known[key]
end

-- Whether a known event is of the source of an item. Items begin with the id and the source.
local function is_of_source(event, item)
  local length = string.find(item, ',"type":', 1, true)
  return length and string.sub(event[ITEM], 1, length) == string.sub(item, 1, length)
end

local function write_known(ttl)
  for key in pairs(is_changed) do
    if not is_new[key] then redis.call('HSET', key, 'known', table.concat(known[key], '\n')) end
  end
  for key in pairs(is_new) do
    redis.call('HSET', key, 'known', table.concat(known[key], '\n'))
    redis.call('PEXPIRE', key, ttl)
  end
end
