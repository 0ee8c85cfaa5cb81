-- A delivery that was leased to a process, as the scripts return it: {webhook, member, 1 if it is
-- the circuit breaker's probe, the stored responses, its record}.

local function leased_delivery(webhook, member, record, probe)
  local has_attempts = record[LEASED_LOG] ~= ''
  local responses = has_attempts and redis.call('HGET', responses_key(webhook), member) or ''
  return { webhook, member, probe, responses, record }
end
