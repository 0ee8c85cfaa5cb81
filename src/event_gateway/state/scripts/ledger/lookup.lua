-- Tells which deliveries have a record. ARGV: msgpack array of Lookup.
-- Returns 1 or 0 for each: a record counts if its source is equal and its sequence is not lower.
-- include shared/find_record.lua
local results = {}
for position, lookup in ipairs(cmsgpack.unpack(ARGV[1])) do
  local _, _, source, seq = find_record(lookup[LOOKUP_WEBHOOK], lookup[LOOKUP_MEMBER],
    lookup[LOOKUP_SOURCE], lookup[LOOKUP_SOURCE_HASH], 'seq')
  local recorded = source == lookup[LOOKUP_SOURCE] and tonumber(seq) >= lookup[LOOKUP_SEQ]
  results[position] = recorded and 1 or 0
end
return results
