-- Returns the sequence from which on the index of events is complete; nil: it has not begun.
-- ARGV: the stream.
return redis.call('HGET', INDEXED_FROM_KEY, ARGV[1])
