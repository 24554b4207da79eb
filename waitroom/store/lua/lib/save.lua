-- include whole
-- Writes the state back, with the counters in `totals` raised.
local function save(state_key, room, totals)
  redis.call('HSET', state_key,
    'last_us', whole(room.last_us), 'frontier_us', whole(room.frontier_us), 'clock_ms', whole(room.clock_ms),
    'stopped_ms', whole(room.stopped_ms), 'paused_ms', whole(room.paused_ms),
    'credit', string.format('%.6f', room.credit), 'credit_ms', whole(room.credit_ms),
    'entries', whole(room.entries), 'kept', string.format('%.3f', room.kept),
    'absent', string.format('%.3f', room.absent), 'recover_until_ms', whole(room.recover_until_ms),
    'lost_ms', whole(room.lost_ms), 'lost_active', whole(room.lost_active),
    'lost_entries', whole(room.lost_entries), 'restored', whole(room.restored), 'beat', whole(room.beat),
    'idle_ms', whole(room.idle_ms))
  for name, count in pairs(totals) do
    if count > 0 then
      redis.call('HINCRBY', state_key, name .. '_total', count)
    end
  end
end
