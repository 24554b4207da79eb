-- Pace: credit grows by rate/60 a second; while somebody waits it holds at most one second's worth, otherwise the
-- burst. Less than one visitor's worth could never admit anybody; and a beat's worth beyond that, or what a beat leaves
-- over would be lost at a slow pace.
local function accrue(room, now_ms, waiting)
  if not room.rate then
    return
  end
  local per_ms = room.rate / 60000
  local most = room.burst
  if waiting > 0 then
    most = math.max(1, per_ms * 1000) + per_ms * 100
  end
  if room.rate == 0 then
    most = 0
  end
  room.credit = math.min(most, room.credit + math.max(0, now_ms - room.credit_ms) * per_ms)
  room.credit_ms = now_ms
end
