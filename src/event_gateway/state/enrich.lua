-- Remembers a batch of events and answers what is known around each. KEYS[1]: the key prefix.
-- ARGV[1]: msgpack array of {id, source, source hash, type, time, subject, correlation, causation,
--   seq, item ('': it is not remembered), when it came into its log in us}; ARGV[2]: expiry in ms;
--   ARGV[3]: longest chain; ARGV[4]: most related; ARGV[5]: '1' remembers nothing.
-- Answers for each {chain, related}: arrays of items, root first and newest first.
local prefix, ttl = KEYS[1], ARGV[2]
local longest, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local kept = 3 * most
local events = cmsgpack.unpack(ARGV[1])

-- By time, not by sequence: events of several logs may belong together.
local function index(key, at, item)
  redis.call('ZADD', key, 'NX', string.format('%.0f', at), item)
  redis.call('ZREMRANGEBYRANK', key, 0, -kept - 1)
  redis.call('PEXPIRE', key, ttl)
end

local function remember(e)
  local id, source, subject, correlation, seq, item = e[1], e[2], e[6], e[7], e[9], e[10]
  local key = prefix .. 'event:' .. id
  local have = redis.call('HGET', key, 'source')
  if have and have ~= source then
    key = key .. '~' .. e[3]
    have = redis.call('HGET', key, 'source')
  end
  if not have then
    redis.call('HSET', key, 'source', source, 'type', e[4], 'time', e[5], 'item', item,
      'correlation', correlation, 'causation', e[8], 'seq', seq)
    redis.call('PEXPIRE', key, ttl)
  end
  if subject ~= '' then index(prefix .. 'related:subject:' .. subject, e[11], item) end
  if correlation ~= '' then index(prefix .. 'related:correlation:' .. correlation, e[11], item) end
end

for _, e in ipairs(ARGV[5] == '1' and {} or events) do
  if e[10] ~= '' then remember(e) end
end

local answers = {}
for position, e in ipairs(events) do
  local chain, seen = {}, { [e[1]] = true }
  local parent = e[8] ~= '' and e[8] or e[7]
  while parent ~= '' and not seen[parent] and #chain < longest do
    seen[parent] = true
    local found = redis.call('HMGET', prefix .. 'event:' .. parent, 'item', 'causation', 'correlation')
    if not found[1] then break end
    table.insert(chain, 1, found[1])
    parent = found[2] ~= '' and found[2] or found[3]
  end
  local merged, known = {}, { [e[10]] = true }
  for _, key in ipairs({
    e[6] ~= '' and prefix .. 'related:subject:' .. e[6] or '',
    e[7] ~= '' and prefix .. 'related:correlation:' .. e[7] or '',
  }) do
    if key ~= '' then
      local found = redis.call('ZREVRANGEBYSCORE', key, string.format('%.0f', e[11]), '-inf',
        'WITHSCORES', 'LIMIT', 0, most + 1)
      for at = 1, #found, 2 do
        if not known[found[at]] then
          known[found[at]] = true
          merged[#merged + 1] = { found[at], tonumber(found[at + 1]) }
        end
      end
    end
  end
  table.sort(merged, function(a, b) return a[2] > b[2] end)
  local related = {}
  for at = 1, math.min(#merged, most) do related[at] = merged[at][1] end
  answers[position] = { chain, related }
end
return answers
