-- An operator puts a visitor back at the front of the queue, at most so many a day.
--
-- KEYS    config state queue called missed active spent journal audit
-- ARGV    1 now_us or ''   2 generation for a memory that begins now   3 visitor   4 most a day   5 request id
--         6 line of the audit log
-- Returns 'placed' and the position, or why not: 'active', 'called', 'closed', 'off', 'limit';  or 'unconfigured'
-- include now
-- include load
-- include save
-- include journal
-- include audit
local config_key, state_key, queue_key, called_key, missed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local active_key, spent_key, journal_key, audit_key = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local visitor, most, request_id = ARGV[3], tonumber(ARGV[4]), ARGV[5]
local DAY_MS = 86400000
local time_us = now_us(ARGV[1])
local now_ms = math.floor(time_us / 1000)
local room = load(config_key, state_key, now_ms, ARGV[2])
if not room then
  return { 'unconfigured' }
end

local function position()
  return (redis.call('ZRANK', queue_key, visitor) or -1) + 1
end

if answered(audit_key, request_id) then
  return { 'placed', position() }
end
if room.mode == 'closed' or room.mode == 'off' then
  return { room.mode }
end
if tonumber(redis.call('ZSCORE', active_key, visitor) or '0') > room.session_now_ms then
  return { 'active' }
end
if redis.call('ZSCORE', called_key, visitor) then
  return { 'called' }
end
local today = whole(math.floor(now_ms / DAY_MS))
local counted = redis.call('HMGET', state_key, 'front_day', 'front_count')
local count = counted[1] == today and tonumber(counted[2]) or 0
if count >= most then
  return { 'limit' }
end
redis.call('ZREM', missed_key, visitor)
redis.call('ZREM', spent_key, '!' .. visitor)
local first = redis.call('ZRANGE', queue_key, 0, 0, 'WITHSCORES')
if first[1] ~= visitor then
  local score = first[2] and tonumber(first[2]) - 1 or (room.frontier_us > 0 and room.frontier_us or time_us)
  redis.call('ZADD', queue_key, whole(score), visitor)
  journal(journal_key, 'fronted', visitor, score)
end
redis.call('HSET', state_key, 'front_day', today, 'front_count', count + 1)
save(state_key, room, { returned = 1 })
audit(audit_key, request_id, room.version, 1, ARGV[6])
return { 'placed', position() }
