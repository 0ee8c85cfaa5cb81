-- server: identifies the server and its run. It changes when the server restarts or a replica takes
-- over: in both cases the latest writes may be lost.
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
