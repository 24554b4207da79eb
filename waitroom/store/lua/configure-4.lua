-- Write the room's settings, if nobody else did meanwhile. A changed rate starts a new window, unless a ramp leads to it
-- or it is only restored.
--
-- KEYS    config state entries audit
-- ARGV    1 expected version ('' for any; 'restore' writes only over an older one)   2 version to write when restoring
--         3 request id   4 epoch ('' keeps it)   5 line of the audit log ('' for none)   then field, value, field, value, …
-- Returns 1 (written), 2 (was written by this request before) or 0 (somebody else was faster), version that stands
-- include audit
local config_key, state_key, entries_key, audit_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local expected, request_id, line = ARGV[1], ARGV[3], ARGV[5]
local current = redis.call('HMGET', config_key, 'version', 'rate', 'epoch')
local version = tonumber(current[1] or '0')
if expected == 'restore' then
  if tonumber(ARGV[2]) <= version then
    return { 0, version }
  end
  version = tonumber(ARGV[2])
else
  if line ~= '' and answered(audit_key, request_id) then
    return { 2, version }
  end
  if expected ~= '' and tonumber(expected) ~= version then
    return { 0, version }
  end
  version = version + 1
end
local fields = { 'version', whole(version), 'epoch', ARGV[4] ~= '' and ARGV[4] or current[3] or '1' }
local ramp = false
for i = 6, #ARGV, 2 do
  ramp = ramp or (ARGV[i] == 'ramp_rate' and ARGV[i + 1] ~= '')
end
for i = 6, #ARGV, 2 do
  fields[#fields + 1] = ARGV[i]
  fields[#fields + 1] = ARGV[i + 1]
  local changed = ARGV[i] == 'rate' and current[2] and current[2] ~= ARGV[i + 1]
  if changed and not ramp and expected ~= 'restore' then
    redis.call('DEL', entries_key)
    redis.call('HSET', state_key, 'entries', 0)
  end
end
redis.call('HSET', config_key, unpack(fields))
if line ~= '' then
  audit(audit_key, request_id, version, 0, line)
end
return { 1, version }
