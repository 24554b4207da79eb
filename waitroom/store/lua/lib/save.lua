-- Writes back what changed of the state that lib/load.lua read, with the counters in `totals` raised. A call that only
-- looks so costs the server, its append-only file and its replicas one short write.
--
-- `moments` counts the ms in which the memory was written. It only grows, so that whoever was told of more proves that this
-- is an older copy (lib/recover.lua). Of a silence it takes in every ms and remembers between which numbers that was: an
-- older copy comes back after a silence, and whoever was told a number in between proves it later too.
local function save(state_key, room, totals)
  local was, changed = room.was, {}
  local function note(at, name, format)
    local value = room[name]
    if value ~= was[at] then
      changed[#changed + 1] = name
      changed[#changed + 1] = string.format(format or '%.0f', value)
    end
  end
  note(2, 'last_us')
  note(3, 'frontier_us')
  note(4, 'clock_ms')
  note(5, 'stopped_ms')
  note(6, 'paused_ms')
  note(7, 'credit', '%.6f')
  note(8, 'credit_ms')
  note(9, 'entries')
  note(10, 'kept', '%.3f')
  note(11, 'absent', '%.3f')
  note(12, 'recover_until_ms')
  note(13, 'lost_ms')
  note(14, 'lost_active')
  note(15, 'lost_entries')
  note(16, 'restored')
  note(17, 'beat')
  note(18, 'idle_ms')
  note(19, 'granted')
  note(20, 'granted_until_ms')
  if room.silence_ms then
    room.gap_from, room.gap_to = room.moments, room.moments + room.silence_ms
    room.moments = room.gap_to
    note(22, 'gap_from')
    note(23, 'gap_to')
  end
  if room.clock_ms ~= was[4] then
    room.moments = room.moments + 1
    note(21, 'moments')
  end
  if #changed > 0 then
    redis.call('HSET', state_key, unpack(changed))
  end
  for name, count in pairs(totals) do
    if count > 0 then
      redis.call('HINCRBY', state_key, name .. '_total', count)
    end
  end
end
