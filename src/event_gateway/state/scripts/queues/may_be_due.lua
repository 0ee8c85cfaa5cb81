-- Returns the webhooks that may have due deliveries in their queue: {paused}, {gated}, {throttled},
-- {due}. A webhook may be in several.
-- include shared/clock.lua
return {
  redis.call('SMEMBERS', PAUSED_KEY), redis.call('HKEYS', GATES_KEY),
  redis.call('HKEYS', THROTTLED_KEY), redis.call('ZRANGEBYSCORE', DUE_KEY, '-inf', now),
}
