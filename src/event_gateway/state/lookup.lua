-- Which deliveries are recorded already. KEYS[1]: the prefix of all keys.
-- ARGV[1]: msgpack array of {webhook, event id, source, source hash, seq}. Answers 1 or 0 for each:
-- a record counts if it is of the same source and of this place in the log or a later one.
local prefix, answers = KEYS[1], {}
for position, d in ipairs(cmsgpack.unpack(ARGV[1])) do
  local key = prefix .. 'delivery:' .. d[1] .. ':' .. d[2]
  local have = redis.call('HMGET', key, 'source', 'seq')
  if have[1] ~= d[3] then
    have = redis.call('HMGET', key .. '~' .. d[4], 'source', 'seq')
  end
  answers[position] = (have[1] == d[3] and tonumber(have[2]) >= d[5]) and 1 or 0
end
return answers
