-- answers:{webhook} holds the receiver's responses, of the latest deliveries, which are listed in
-- answered:{webhook}.

-- Deletes the responses of a delivery.
local function forget_responses(webhook, member)
  redis.call('HDEL', responses_key(webhook), member)
  redis.call('ZREM', responded_key(webhook), member)
end
