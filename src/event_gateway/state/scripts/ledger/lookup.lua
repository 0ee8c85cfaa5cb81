-- Tells which deliveries have a record. ARGV: msgpack array of Lookup, ms within which an event
-- that is published again is a duplicate.
-- Returns 1 or 0 for each: a record counts if its source is equal and its sequence is not lower, or
-- if its event came into the log shortly before. (The record of a run by hand or of a replay does
-- not say when its event came.) A record from before the webhook was registered does not count: it
-- is that of a deleted webhook with the same id. Nor does one from before the sequences of the
-- stream went back, unless it is of the same message.
-- include shared/find_record.lua
-- include shared/resets.lua
local packed_lookups, window = unpack(ARGV)
window = tonumber(window)
local results = {}

local function is_recorded(webhook, lookup)
  local _, _, source, seq, event_at, repeats, stream = find_record(webhook,
    lookup[LOOKUP_MEMBER], lookup[LOOKUP_SOURCE], lookup[LOOKUP_SOURCE_HASH], 'seq', 'event_at',
    'repeats', 'stream')
  local of_deleted_webhook = stream == lookup[LOOKUP_STREAM]
    and tonumber(seq) <= lookup[LOOKUP_SINCE]
  if source ~= lookup[LOOKUP_SOURCE] or of_deleted_webhook then return false end
  local since = lookup[LOOKUP_AT] - (tonumber(event_at or '') or 0)
  local is_duplicate = since >= 0 and since <= window and (repeats or '') == ''
  local recorded = tonumber(seq) >= lookup[LOOKUP_SEQ] or is_duplicate
  local is_same = tonumber(seq) == lookup[LOOKUP_SEQ] and (since == 0 or (repeats or '') ~= '')
  if recorded and not is_same then recorded = not is_before_reset(stream, event_at) end
  return recorded
end

for position, lookup in ipairs(cmsgpack.unpack(packed_lookups)) do
  local former = lookup[LOOKUP_FORMER]
  local recorded = is_recorded(lookup[LOOKUP_WEBHOOK], lookup)
    or former ~= '' and is_recorded(former, lookup)
  results[position] = recorded and 1 or 0
end
return results
