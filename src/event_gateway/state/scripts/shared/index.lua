-- When the entries of a slot end, in ms since the epoch. `kept`: ms for which the stream stores
-- events.
local function entries_end(slot, kept)
  -- A day after the log has dropped the last event of the slot's day.
  local days = tonumber(string.match(slot, '^%d+')) + 2
  return string.format('%.0f', days * 86400000 + kept)
end

-- Adds entries to the index of events. ARGV from `begin` on: ms for which the stream stores events,
-- the stream, and in turn the name of a slot and its entries (state/index_entries.py).
local function add_to_index(begin)
  local kept, stream = tonumber(ARGV[begin]), ARGV[begin + 1]
  for at = begin + 2, #ARGV, 2 do
    local slot, entries = ARGV[at], ARGV[at + 1]
    local key = found_key(stream, slot)
    if redis.call('APPEND', key, entries) == #entries then
      redis.call('PEXPIREAT', key, entries_end(slot, kept))
    end
  end
end
