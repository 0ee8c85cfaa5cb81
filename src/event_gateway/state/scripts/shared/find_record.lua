-- Finds the record of a delivery.

-- Returns its member (the event's name in keys, queues and lists), its key, its source (false:
-- there is no record) and the named fields. The first event with an id has the id itself as its
-- member; an event with the same id from another source has id~hash, with the hash of its source.
local function find_record(webhook, id, source, hash, ...)
  local member, key = id, delivery_key(webhook, id)
  local record = redis.call('HMGET', key, 'source', ...)
  local recorded_source = record[1]
  if recorded_source ~= source then
    local other_member = id .. '~' .. hash
    local other_key = delivery_key(webhook, other_member)
    -- The other event keeps its member when the record of the first one expires.
    if recorded_source or redis.call('EXISTS', other_key) == 1 then
      member, key = other_member, other_key
      record = redis.call('HMGET', key, 'source', ...)
    end
  end
  return member, key, unpack(record)
end
