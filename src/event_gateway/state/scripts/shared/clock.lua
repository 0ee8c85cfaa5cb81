-- now: the time of this server's clock, in ms. All times in Redis are of this clock.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
