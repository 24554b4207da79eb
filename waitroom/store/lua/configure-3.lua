-- Write the room's settings, if nobody else did meanwhile. A changed rate starts a new window.
--
-- KEYS    config state entries
-- ARGV    1 expected version ('' for any; 'restore' writes only over an older one)   2 version to write when restoring
--         3 request id   4 epoch ('' keeps it)   then field, value, field, value, …
-- Returns 1 or 0 (written), version that stands
-- include whole
local config_key, state_key, entries_key = KEYS[1], KEYS[2], KEYS[3]
local expected, request_id = ARGV[1], ARGV[3]
local current = redis.call('HMGET', config_key, 'version', 'request_id', 'rate', 'epoch')
local version = tonumber(current[1] or '0')
if current[2] and current[2] == request_id then
  return { 1, version }
end
if expected == 'restore' then
  if tonumber(ARGV[2]) <= version then
    return { 0, version }
  end
  version = tonumber(ARGV[2])
else
  if expected ~= '' and tonumber(expected) ~= version then
    return { 0, version }
  end
  version = version + 1
end
local fields = { 'version', whole(version), 'request_id', request_id, 'epoch', ARGV[4] ~= '' and ARGV[4] or current[4] or '1' }
for i = 5, #ARGV, 2 do
  fields[#fields + 1] = ARGV[i]
  fields[#fields + 1] = ARGV[i + 1]
  if ARGV[i] == 'rate' and current[3] and current[3] ~= ARGV[i + 1] then
    redis.call('DEL', entries_key)
    redis.call('HSET', state_key, 'entries', 0)
  end
end
redis.call('HSET', config_key, unpack(fields))
return { 1, version }
