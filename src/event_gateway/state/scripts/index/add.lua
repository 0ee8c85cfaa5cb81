-- Adds events to the index of events.
-- ARGV: the sequence at which the index begins, and the one at which it begins then ('': it begins
-- where it does); then as shared/index.lua says.
-- Returns 0 if the index does not begin there; then nothing is added.
-- include shared/index.lua
local begins, earlier, stream = ARGV[1], ARGV[2], ARGV[4]
if begins ~= '' then
  if redis.call('HGET', INDEXED_FROM_KEY, stream) ~= begins then return 0 end
  redis.call('HSET', INDEXED_FROM_KEY, stream, earlier)
end
add_to_index(3)
return 1
