-- A delivery that has been leased to a process, as the scripts that lease deliveries answer it:
-- {webhook, member, 1 where it is the breaker's probe, the stored responses, its record}.

local function leased_delivery(webhook, member, record, probe)
  local has_attempts = record[LEASED_LOG] ~= ''
  local responses = has_attempts and redis.call('HGET', answers_key(webhook), member) or ''
  return { webhook, member, probe, responses, record }
end
