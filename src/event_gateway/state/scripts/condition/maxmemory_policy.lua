-- Returns the server's maxmemory-policy; '' where it does not say.
return string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or ''
