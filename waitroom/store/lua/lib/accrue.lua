-- Pace: credit grows by rate/60 a second; while somebody waits it holds at most one second's worth, otherwise the
-- burst. Less than one visitor's worth could never admit anybody; and a beat's worth beyond that, or what a beat leaves
-- over would be lost at a slow pace.
local function most_credit(room, waiting)
  if room.rate == 0 then
    return 0
  end
  local per_ms = room.rate / 60000
  return waiting > 0 and math.max(1, per_ms * 1000) + per_ms * 100 or room.burst
end

local function accrue(room, now_ms, waiting)
  if not room.rate then
    return
  end
  local grown = room.credit + math.max(0, now_ms - room.credit_ms) * (room.rate / 60000)
  room.credit, room.credit_ms = math.min(most_credit(room, waiting), grown), now_ms
end

-- Turns that were missed give back what they cost. While an operator's grant stands some may have cost nothing: then no
-- more is given back than there can be, or a crowd would be called at once.
local function give_back(room, missed, waiting)
  room.credit = room.credit + missed
  if room.rate and room.granted_until_ms > 0 then
    room.credit = math.min(most_credit(room, waiting), room.credit)
  end
end
