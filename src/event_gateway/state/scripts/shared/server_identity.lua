-- server: names this server and its run. It changes when the server restarts and when a replica
-- takes its place: in both cases the latest writes may be lost.
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
