-- The latest events of a subject or a correlation id. A list is stored with the oldest first: the
-- time (ms) at which the key's time to live was set, then of each event its item, its time in the
-- log (us), its number since the value was written as a whole, and the item's length. An event is
-- usually appended: to write all of them each time would be 30 times as much.
local HEAD, TRAILER, KEPT = 8, 12, 30 -- bytes; bytes; events that are kept at least
local RENEWAL = 3600000 -- ms after which the time to live is set again

local lists = {}

-- In the script the latest is first: places that the script has added end at 0, what is stored
-- begins at 1. That is taken out of `value`, from its end on, as far as somebody asks for it.
local function new_list(value)
  return {
    value = value or '', rest = #(value or ''), oldest = 0, latest = 1, hint = 1, times = {},
    items = {},
  }
end

local NO_LIST = new_list()

local function read_latest(keys)
  for begin = 1, #keys, 1000 do
    local values = redis.call('MGET', unpack(keys, begin, math.min(begin + 999, #keys)))
    for at, value in ipairs(values) do lists[keys[begin + at - 1]] = new_list(value) end
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
  for place = list.latest, 0 do
    if list.items[place] == item then return true end
  end
  return string.find(list.value, item, 1, true) ~= nil
end

-- Adds an event unless all that are kept are later.
local function add_latest(list, time, item)
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

local function write_latest(now, ttl)
  for key, list in pairs(lists) do
    if list.is_changed then
      local renewed, count = 0, 0
      if list.value ~= '' then
        renewed = struct.unpack('>d', list.value)
        count = struct.unpack('>H', list.value, #list.value - TRAILER + 9)
      end
      local appends = count > 0 and count + 1 - list.latest <= 2 * KEPT and not list.is_disordered
        and now - renewed <= RENEWAL
      local from, entries = 0, {}
      if not appends then
        time_at(list, list.latest + KEPT - 1)
        from, count = math.min(list.oldest, list.latest + KEPT - 1), 0
      end
      for place = from, list.latest, -1 do
        local item = list.items[place]
        count = count + 1
        entries[#entries + 1] = item .. struct.pack('>dHH', list.times[place], count, #item)
      end
      local text = table.concat(entries)
      if appends then
        redis.call('APPEND', key, text)
      else
        redis.call('SET', key, struct.pack('>d', now) .. text, 'PX', ttl)
      end
    end
  end
end
