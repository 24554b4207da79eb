-- include recover
-- include claims
-- The room in numbers, in the order of waitroom/store/redis.py CENSUS.
local function census(keys, room, now_ms)
  local t = redis.call('HMGET', keys.state, 'joined_total', 'called_total', 'admitted_total', 'missed_total',
    'returned_total', 'left_total', 'released_total', 'ended_total')
  local reply = {
    room.mode, room.version, room.generation, room.epoch, whole(now_ms),
    redis.call('ZCARD', keys.queue), redis.call('ZCARD', keys.called), redis.call('ZCARD', keys.missed),
    redis.call('ZCOUNT', keys.active, '(' .. whole(room.session_now_ms), '+inf'),
    room.entries, reserved(room), recovering_ms(room, now_ms), string.format('%.4f', missed_share(room)),
  }
  for i = 1, 8 do
    reply[#reply + 1] = tonumber(t[i] or '0')
  end
  reply[#reply + 1] = room.idle_ms
  reply[#reply + 1] = room.moments
  return reply
end
