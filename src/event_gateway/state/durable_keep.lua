-- Moves a durable name's position on, and gives the name up: KEYS[1] its hash; ARGV: the
-- subscription, the position, 1 to give it up, ms for which it is kept.
-- Gives 0 where another subscription has it by now.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end
if tonumber(ARGV[2]) > tonumber(redis.call('HGET', KEYS[1], 'position') or '-1') then
  redis.call('HSET', KEYS[1], 'position', ARGV[2])
end
if ARGV[3] == '1' then
  redis.call('HDEL', KEYS[1], 'holder')
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
