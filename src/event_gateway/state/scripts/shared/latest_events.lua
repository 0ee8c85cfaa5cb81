-- The latest events of a subject or a correlation id. A list is stored with the oldest first: its
-- version, then of each event its item, its time in the log (us), its number in this version, and
-- the item's length. An event is usually appended, so a beginning of a version never changes. What
-- is related to an event is stored as a reference to such a beginning: ten items with each event
-- would be ten times as much. The version is the time (ms) at which the value was written as a
-- whole and its time to live set; a former version is renamed, and stays for as long.
local HEAD, TRAILER, KEPT = 8, 12, 30 -- bytes; bytes; events that are kept at least
local RENEWAL = 3600000 -- ms after which there is a new version, so that it lives long enough
local FARTHEST = 65536 -- bytes; a reference leads to no more

local SUFFIX = ':latest' -- of all keys

local lists, readers = {}, {}
local read = {} -- values by key, for references

local function former_key(key, version)
  return string.sub(key, 1, -#SUFFIX - 1) .. '~' .. version .. SUFFIX
end

-- In the script the latest is first: places that the script has added end at 0, what is stored
-- begins at 1. That is taken out of `value`, from its end on, as far as the script asks for it.
local function new_list(value)
  return {
    value = value or '', rest = #(value or ''), oldest = 0, latest = 1, hint = 1, times = {},
    items = {},
  }
end

local NO_LIST = new_list()
local unread = {}

-- Says that an event needs the list with a key.
local function needs_latest(key)
  if not readers[key] then unread[#unread + 1] = key end
  readers[key] = (readers[key] or 0) + 1
end

-- Reads the lists that events need. A new one that only one event needs gets no table: most lists
-- of subjects such as orders are new, and tables are what costs most here.
local function read_latest()
  for begin = 1, #unread, 1000 do
    local values = redis.call('MGET', unpack(unread, begin, math.min(begin + 999, #unread)))
    for at, value in ipairs(values) do
      local key = unread[begin + at - 1]
      lists[key] = (value or readers[key] > 1) and new_list(value) or NO_LIST
    end
  end
end

-- The time at a place of a list: -math.huge behind the oldest.
local function time_at(list, place)
  while place > list.oldest do
    if list.rest <= HEAD then return -math.huge end
    local stop = list.rest - TRAILER
    local time, _, length = struct.unpack('>dHH', list.value, stop + 1)
    local oldest = list.oldest + 1
    list.oldest, list.rest = oldest, stop - length
    list.times[oldest], list.items[oldest] = time, string.sub(list.value, list.rest + 1, stop)
  end
  return list.times[place]
end

-- The place of the latest event that is not later than a time.
local function place_of(list, time)
  local place = list.hint
  while place > list.latest and list.times[place - 1] <= time do place = place - 1 end
  while time_at(list, place) > time do place = place + 1 end
  list.hint = place
  return place
end

local function has_item(list, item)
  for place = list.latest, list.oldest do
    if list.items[place] == item then return true end
  end
  return string.find(list.value, item, 1, true) ~= nil
end

local function entry(time, number, item)
  return item .. struct.pack('>dHH', time, number, #item)
end

-- Adds an event unless all that are kept are later.
local function add_latest(key, time, item, now, ttl)
  local list = lists[key]
  if list == NO_LIST then
    redis.call('SET', key, struct.pack('>d', now) .. entry(time, 1, item), 'PX', ttl)
    return
  end
  local place = place_of(list, time) - 1
  local times, items, latest = list.times, list.items, list.latest
  if place - latest + 1 >= KEPT then return end
  if place > 0 then list.is_disordered = true end
  for at = latest, place do times[at - 1], items[at - 1] = times[at], items[at] end
  times[place], items[place] = time, item
  list.latest, list.hint, list.is_changed = latest - 1, place, true
end

-- As latest_until, for the usual case that is quick; nil in others.
local function latest_of_one(list, time, own, count, size)
  local place = place_of(list, time)
  time_at(list, place + count)
  if list.items[place] == own then place = place + 1 end
  local text = table.concat(list.items, ',', place, math.min(place + count - 1, list.oldest))
  return #text <= size and not string.find(text, own, 1, true) and text or nil
end

-- Up to `count` items of both lists that are not later than a time, joined, the latest first,
-- without `own`; those beyond `size` bytes are left out.
local function latest_until(list, other, time, own, count, size)
  if other == NO_LIST then
    local text = latest_of_one(list, time, own, count, size)
    if text then return text end
  end
  local items, seen = {}, { [own] = true }
  local place, place_in_other = place_of(list, time), place_of(other, time)
  while #items < count do
    local item
    local latest, latest_in_other = time_at(list, place), time_at(other, place_in_other)
    if latest >= latest_in_other then
      if latest == -math.huge then break end
      item, place = list.items[place], place + 1
    else
      item, place_in_other = other.items[place_in_other], place_in_other + 1
    end
    if not seen[item] then
      size = size - #item
      if size < 0 then break end
      seen[item], items[#items + 1] = true, item
    end
  end
  return table.concat(items, ',')
end

-- Writes what was added to the lists. `reach`: how many events a reference to one must lead to. A
-- new version leaves out what is older; `farthest` is the last place from which it has so many.
local function write_latest(now, ttl, reach)
  for key, list in pairs(lists) do
    if list.is_changed then
      local former, count, stop = nil, 0, #list.value
      if stop > 0 then
        former = struct.unpack('>d', list.value)
        count = struct.unpack('>H', list.value, stop - TRAILER + 9)
      end
      local appends = count > 0 and count + 1 - list.latest <= 2 * KEPT and not list.is_disordered
        and now - former <= RENEWAL
      local from = 0
      if not appends then
        from = math.max(list.latest + KEPT + reach, reach)
        time_at(list, from + 1)
        list.farthest = from < list.oldest and from - reach + 1 or nil
        from, count, stop = math.min(from, list.oldest), 0, HEAD
      end
      list.version = appends and former or math.max(now, (former or 0) + 1)
      local ends, text = from > list.latest and {} or nil, ''
      local entries = ends and {}
      for place = from, list.latest, -1 do
        count = count + 1
        text = entry(list.times[place], count, list.items[place])
        stop = stop + #text
        if ends then ends[place], entries[#entries + 1] = stop, text end
      end
      list.ends, list.stop = ends, stop
      if ends then text = table.concat(entries) end
      if appends then
        redis.call('APPEND', key, text)
      else
        if former then
          redis.call('RENAME', key, former_key(key, string.format('%.0f', former)))
        end
        redis.call('SET', key, struct.pack('>d', list.version) .. text, 'PX', ttl)
      end
    end
  end
  read = {} -- a value may be another one now, or have another name
end

-- A reference to what is in a list until a time: its key, its version, and where that ends. Empty
-- if there is nothing but `own`; nil if a reference cannot lead there.
local function reference_to(key, time, own)
  local list = lists[key]
  if list == NO_LIST then return '' end
  local place = place_of(list, time)
  local next_place = list.items[place] == own and place + 1 or place
  if time_at(list, next_place) == -math.huge then return '' end
  local stop = place == list.latest and list.stop or list.ends and list.ends[place]
  if not stop or stop > FARTHEST or list.farthest and next_place > list.farthest then
    return nil
  end
  return '\t' .. key .. '\t' .. string.format('%.0f', list.version) .. '\t' .. stop
end

local function value_of(name)
  if read[name] == nil then read[name] = redis.call('GET', name) end
  return read[name]
end

-- The list to which a reference leads; an empty one if the version is lost.
local function list_at(key, version, stop)
  local head = struct.pack('>d', tonumber(version))
  for _, name in ipairs({ key, former_key(key, version) }) do
    local value = value_of(name)
    if value and #value >= tonumber(stop) and string.sub(value, 1, HEAD) == head then
      return new_list(string.sub(value, 1, tonumber(stop)))
    end
  end
  return NO_LIST
end

-- Whether related events are stored as references, not as a text.
local function has_references(stored) return string.sub(stored, 1, 1) == '\t' end

-- The text of related events as it is stored: a text, or references.
local function resolved(stored, own, count, size)
  if not has_references(stored) then return stored end
  local found = {}
  for key, version, stop in string.gmatch(stored, '\t([^\t]*)\t(%d+)\t(%d+)') do
    found[#found + 1] = list_at(key, version, stop)
  end
  return latest_until(found[1], found[2] or NO_LIST, math.huge, own, count, size)
end
