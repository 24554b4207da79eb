-- How many of the called come: two counters that fade, so that the share follows the crowd of the last few
-- hundred calls. Ten imagined arrivals keep a few early misses from weighing too much.
local function note_claims(room, kept, absent)
  room.kept, room.absent = room.kept + kept, room.absent + absent
  local sum = room.kept + room.absent
  if sum > 200 then
    room.kept, room.absent = room.kept * 200 / sum, room.absent * 200 / sum
  end
end

local function missed_share(room)
  return math.min(0.9, room.absent / (room.kept + room.absent + 10))
end
