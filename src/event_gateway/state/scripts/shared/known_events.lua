-- The events that the cache knows. A script reads them at once and writes each at most once; in
-- between they are tables. Stored are these fields, a line each: no attribute of an event has line
-- breaks. Without an enrichment they end before the first field of one.
-- include shared/timestamp.lua
local ITEM, CORRELATION, CAUSATION, FIRST, MADE_FOR, PROCESSED_AT, VERSION, CHAIN, RELATED =
  1, 2, 3, 4, 5, 6, 7, 8, 9
-- In MADE_FOR: the position in FIRST. In PROCESSED_AT: the time in the position of MADE_FOR.
local SAME = '='
local NAME = #event_key('') + 1 -- where the name of an event begins in its key

local known, is_whole, is_former, is_new, is_changed = {}, {}, {}, {}, {}

local function fields_of(value)
  local fields = {}
  for field in string.gmatch(value .. '\n', '([^\n]*)\n') do fields[#fields + 1] = field end
  return fields
end

-- An item is a JSON object of the id, the source, the type and the time. Stored are the source, the
-- type and the time, with tabs between, as the id is the event's name. An item is stored as it is
-- where the JSON text of the id is another: it has escapes, or a hash of the source follows it in
-- the name. Such an item has no tab, as JSON escapes them. These functions run for every event:
-- patterns would take twice the time.
local function packed(item, key)
  local from = #key + 9 - NAME -- where the id has ended
  if string.sub(item, 8, from - 1) ~= string.sub(key, NAME)
      or string.sub(item, from, from + 11) ~= '","source":"' then
    return item
  end
  local kind_at = string.find(item, '","type":"', from, true)
  local end_at = kind_at and string.find(item, '","time":', kind_at, true)
  if not end_at then return item end
  return string.sub(item, from + 12, kind_at - 1) .. '\t'
    .. string.sub(item, kind_at + 10, end_at - 1) .. '\t' .. string.sub(item, end_at + 9, -2)
end

local function unpacked(stored, key)
  local first = string.find(stored, '\t', 1, true)
  if not first then return stored end
  local second = string.find(stored, '\t', first + 1, true)
  return '{"id":"' .. string.sub(key, NAME) .. '","source":"' .. string.sub(stored, 1, first - 1)
    .. '","type":"' .. string.sub(stored, first + 1, second - 1)
    .. '","time":' .. string.sub(stored, second + 1) .. '}'
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

-- Reads the events with these keys. Unreleased versions after 1.0 had the same lines in `known`,
-- with the whole item and time: they do not read what has less, and it does not mislead them.
local function read_known(keys)
  for _, key in ipairs(keys) do
    local value, whole, source = unpack(redis.call('HMGET', key, 'e', 'known', 'source'))
    local event = false
    if value then
      event = fields_of(value)
      event[ITEM] = unpacked(event[ITEM], key)
    elseif whole then
      event, is_whole[key] = fields_of(whole), true
    elseif source then
      event, is_former[key] = former_event(key), true
    end
    known[key] = event
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

-- When the event was processed for which the enrichment was made. It is usually the event that is
-- read, which brings the text.
local function processed_at_of(former, event, made_for)
  if former[PROCESSED_AT] ~= SAME then return former[PROCESSED_AT] end
  if event[CACHED_EVENT_PROCESSED_THEN] and event[CACHED_EVENT_PROCESSED_AT] ~= ''
      and event[CACHED_EVENT_POSITION] == made_for then
    return event[CACHED_EVENT_PROCESSED_AT]
  end
  return iso8601(tonumber(string.match(made_for, '%d+$')))
end

local function write(key)
  local event = known[key]
  event[ITEM] = packed(event[ITEM], key)
  redis.call('HSET', key, 'e', table.concat(event, '\n'))
  if is_whole[key] then redis.call('HDEL', key, 'known') end
end

-- To be called once, as the last.
local function write_known(ttl)
  for key in pairs(is_changed) do
    if not is_new[key] then write(key) end
  end
  for key in pairs(is_new) do
    write(key)
    redis.call('PEXPIRE', key, ttl)
  end
end
