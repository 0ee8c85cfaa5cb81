-- Whether the sequences of a stream have gone back, and a time (ms) is from before that.
local function is_before_reset(stream, at)
  local reset = redis.call('HGET', RESET_KEY, stream)
  return reset and (tonumber(at or '') or 0) < tonumber(reset)
end
