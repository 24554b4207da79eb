-- Prolong a session, put back one that the store forgot, or say that it ended. Repeating prolongs to the same moment
-- plus what passed meanwhile, so it is harmless.
--
-- KEYS    config state queue called missed active entries spent journal
-- ARGV    1 now_us or ''   2 visitor   3 session_end_ms and 4 generation of the pass   5 '1' when it is provisional
--         6 generation for a memory that begins now
--         7-11 what the caller remembers: generation, heard_ms, active, entries, moments
-- Returns 1 or 0 (active), now_ms, version, generation, session_end_ms, active, entries, moments;  or 'unconfigured'
-- include now
-- include load
-- include save
-- include window
-- include recover
-- include journal
local config_key, state_key, queue_key, called_key, missed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local active_key, entries_key, spent_key, journal_key = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local visitor, pass_end_ms, pass_generation, pass_provisional = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5] == '1'

local now_ms = math.floor(now_us(ARGV[1]) / 1000)
local room = load(config_key, state_key, now_ms, ARGV[6])
if not room then
  return { 'unconfigured' }
end
local totals = {}
local memory = { state = state_key, active = active_key, entries = entries_key }
recover(memory, room, now_ms, ARGV[6], told_by(7))
forget_entries(entries_key, room, now_ms)

local session_end = tonumber(redis.call('ZSCORE', active_key, visitor) or '0')
local active = session_end > room.session_now_ms
if not active and (pass_provisional or pass_generation ~= room.generation) then
  if not pass_provisional then
    recover_by_proof(memory, room, now_ms, pass_generation)
  end
  -- Between the loss and the birth of this memory nobody could renew: that time does not count against the session.
  local lost_ms = room.lost_ms > 0 and room.lost_ms or room.born_ms
  local shifted_end = pass_end_ms + (pass_provisional and -room.stopped_ms or room.born_ms - lost_ms)
  local spent_ms = tonumber(redis.call('ZSCORE', spent_key, '~' .. visitor) or '0')
  if shifted_end > room.session_now_ms and spent_ms < pass_end_ms then
    active = true
    session_end = shifted_end
    room.restored = room.restored + (pass_provisional and 0 or 1)
    if pass_provisional then
      redis.call('ZADD', spent_key, whole(pass_end_ms), '~' .. visitor)
    end
    redis.call('ZADD', active_key, whole(session_end), visitor)
    -- Whoever asked for a place meanwhile, without the pass, needs it no more.
    room.credit = room.credit + redis.call('ZREM', called_key, visitor)
    redis.call('ZREM', queue_key, visitor)
    redis.call('ZREM', missed_key, visitor)
    journal(journal_key, 'restored', visitor, 0)
  end
end
if active and room.sliding then
  session_end = room.session_now_ms + room.session_ms
  redis.call('ZADD', active_key, whole(session_end), visitor)
end
save(state_key, room, totals)
return { active and 1 or 0, whole(now_ms), room.version, room.generation,
  whole(active and session_end + room.stopped_ms or 0),
  redis.call('ZCOUNT', active_key, '(' .. whole(room.session_now_ms), '+inf'), room.entries, room.moments }
