-- Returns the ids of the replays in state running.
return redis.call('SMEMBERS', REPLAYING_KEY)
