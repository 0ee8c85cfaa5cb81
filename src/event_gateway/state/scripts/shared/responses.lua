-- answers:{webhook} holds what receivers responded, for the latest deliveries in
-- answered:{webhook}.

-- Forgets the responses to one delivery.
local function forget_responses(webhook, member)
  redis.call('HDEL', answers_key(webhook), member)
  redis.call('ZREM', answered_key(webhook), member)
end
