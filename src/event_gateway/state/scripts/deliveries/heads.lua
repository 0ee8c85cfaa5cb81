-- Says where the lists of deliveries of many webhooks begin.
-- ARGV: a packed LIST_REQUEST.
-- Returns for each place of the request the score of the first delivery from there on ('': none).
local request = cmsgpack.unpack(ARGV[1])
local queued = request[LIST_REQUEST_QUEUED]
local scores = {}
for index, place in ipairs(request[LIST_REQUEST_PLACES]) do
  local webhook, bound = place[LIST_PLACE_WEBHOOK], place[LIST_PLACE_BOUND]
  local entry
  if queued then
    if bound == '' then bound = '-inf' end
    entry = redis.call('ZRANGEBYSCORE', queue_key(webhook), bound, '+inf', 'WITHSCORES',
      'LIMIT', 0, 1)
  else
    if bound == '' then bound = '+inf' end
    entry = redis.call('ZREVRANGEBYSCORE', recent_key(webhook), bound, '-inf', 'WITHSCORES',
      'LIMIT', 0, 1)
  end
  scores[index] = entry[2] or ''
end
return scores
