-- include whole
-- include ramp
-- Reads config and state into one table; nil when the room has no configuration. A state without a generation is
-- a memory that has just begun: it gets `new_generation`. `room.was` holds the numbers as they were read, in the order
-- of lib/save.lua, which writes only what changed.
--
-- The clocks move here: a silence longer than STOP_MS means that no gateway reached the store, so nobody could
-- renew or claim, and the session clock stood still; while the room is paused the claim clock stands still. When the
-- store's wall clock is set back, the session clock goes on from where it was. Before opens_ms a room stands as if it
-- were paused.
local STOP_MS, STOP_LIMIT_MS = 2000, 3600000

local function load(config_key, state_key, now_ms, new_generation)
  local c = redis.call('HMGET', config_key, 'version', 'epoch', 'mode', 'rate', 'capacity', 'burst', 'session_ms',
    'sliding', 'refresh_ms', 'claim_ms', 'hold_ms', 'opens_ms', 'ramp_rate',
    'ramp_start_ms', 'ramp_end_ms')
  if not c[1] then
    return nil
  end
  local s = redis.call('HMGET', state_key, 'generation', 'born_ms', 'last_us', 'frontier_us', 'clock_ms', 'stopped_ms',
    'paused_ms', 'credit', 'credit_ms', 'entries', 'kept', 'absent', 'recover_until_ms', 'lost_ms', 'lost_active',
    'lost_entries', 'restored', 'beat', 'idle_ms', 'granted', 'granted_until_ms', 'moments', 'gap_from',
    'gap_to')
  local was = {}
  for i = 1, 23 do
    was[i] = tonumber(s[i + 1] or 0)
  end
  local room = {
    version = tonumber(c[1]), epoch = tonumber(c[2]), mode = c[3],
    rate = ramped(tonumber(c[4]), tonumber(c[13]), tonumber(c[14]), tonumber(c[15]), now_ms),
    capacity = tonumber(c[5]), burst = tonumber(c[6]),
    session_ms = tonumber(c[7]), sliding = c[8] == '1', refresh_ms = tonumber(c[9]),
    claim_ms = tonumber(c[10]), hold_ms = tonumber(c[11]),
    generation = s[1], born_ms = was[1], last_us = was[2], frontier_us = was[3], clock_ms = was[4],
    stopped_ms = was[5], paused_ms = was[6], credit = was[7], credit_ms = was[8], entries = was[9], kept = was[10],
    absent = was[11], recover_until_ms = was[12], lost_ms = was[13], lost_active = was[14], lost_entries = was[15],
    restored = was[16], beat = was[17], idle_ms = was[18], granted = was[19],
    granted_until_ms = was[20], moments = was[21], gap_from = was[22], gap_to = was[23], was = was,
  }
  if not room.generation then
    room.generation = new_generation
    room.born_ms, room.clock_ms, room.credit_ms = now_ms, now_ms, now_ms
    room.credit = room.burst
    redis.call('HSET', state_key, 'generation', new_generation, 'born_ms', whole(now_ms))
  end
  local back_ms = room.clock_ms - now_ms
  if back_ms > STOP_MS then
    room.stopped_ms = room.stopped_ms - back_ms
    room.recover_until_ms = room.recover_until_ms - back_ms
    room.clock_ms = now_ms
  end
  local opens_ms = tonumber(c[12]) or 0
  local silence_ms = math.max(0, now_ms - room.clock_ms)
  if silence_ms > STOP_MS then
    room.silence_ms = silence_ms
    if silence_ms <= STOP_LIMIT_MS then
      room.stopped_ms = room.stopped_ms + silence_ms
    end
  elseif room.mode == 'paused' then
    room.paused_ms = room.paused_ms + silence_ms
  elseif room.mode == 'on' and opens_ms > room.clock_ms then
    room.paused_ms = room.paused_ms + math.min(silence_ms, opens_ms - room.clock_ms)
  end
  if room.mode == 'on' and now_ms < opens_ms then
    room.mode = 'paused'
  end
  room.clock_ms = math.max(room.clock_ms, now_ms)
  room.session_now_ms = now_ms - room.stopped_ms
  room.claim_now_ms = room.session_now_ms - room.paused_ms
  return room
end
