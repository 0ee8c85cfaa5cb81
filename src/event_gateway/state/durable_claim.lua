-- Takes a durable name: KEYS[1] its hash; ARGV: the subscription, when its stream was made, the
-- subscription that may be put out of it ('' for none), ms for which it is kept.
-- Gives {1, position or -1}, or {0, who has it}.
local known = redis.call('HMGET', KEYS[1], 'made', 'holder', 'position')
if known[1] ~= ARGV[2] then
  redis.call('DEL', KEYS[1])
  known = {false, false, false}
end
if known[2] and known[2] ~= ARGV[3] then
  return {0, known[2]}
end
redis.call('HSET', KEYS[1], 'made', ARGV[2], 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1, known[3] or '-1'}
