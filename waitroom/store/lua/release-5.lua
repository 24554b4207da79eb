-- End an active session now. The pass of a session that an earlier memory gave is remembered as spent, so that it does
-- not come back, and its reserved slot is given up.
--
-- KEYS    config state active spent journal
-- ARGV    1 now_us or ''   2 visitor   3 generation of the pass   4 generation for a memory that begins now
-- Returns 1 when it was active, 0 when not;  or 'unconfigured'
-- include now
-- include load
-- include save
-- include journal
local config_key, state_key, active_key, spent_key, journal_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local visitor, pass_generation = ARGV[2], ARGV[3]
local now_ms = math.floor(now_us(ARGV[1]) / 1000)
local room = load(config_key, state_key, now_ms, ARGV[4])
if not room then
  return { 'unconfigured' }
end
local session_end = tonumber(redis.call('ZSCORE', active_key, visitor) or '0')
local was_active = session_end > room.session_now_ms
redis.call('ZREM', active_key, visitor)
if room.recover_until_ms > 0 and room.session_now_ms < room.born_ms + room.session_ms then
  local spent_ms = whole(room.born_ms + room.session_ms + room.stopped_ms)
  local known = redis.call('ZADD', spent_key, 'GT', spent_ms, '~' .. visitor)
  redis.call('ZADD', spent_key, 'GT', spent_ms, visitor)  -- for versions that know no other mark
  if not was_active and known == 1 and pass_generation ~= '' and pass_generation ~= room.generation then
    room.restored = room.restored + 1
    was_active = true
  end
end
if was_active then
  journal(journal_key, 'released', visitor, 0)
end
save(state_key, room, { released = was_active and 1 or 0 })
return { was_active and 1 or 0 }
