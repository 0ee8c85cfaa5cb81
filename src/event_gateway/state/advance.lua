-- Moves a checkpoint on while what lies behind it is reread. KEYS[1]: the prefix of all keys; ARGV:
-- the server that has the records of what was reread, stream, sequence, 1 where that is all.
-- Answers 0 where it is another server by now, which may not have them.
local prefix = KEYS[1]
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
if server ~= ARGV[1] or redis.call('HEXISTS', prefix .. 'reread', ARGV[2]) == 0 then return 0 end
redis.call('HSET', prefix .. 'checkpoint', ARGV[2], ARGV[3])
if ARGV[4] == '1' then redis.call('HDEL', prefix .. 'reread', ARGV[2]) end
return 1
