-- include window
-- Recovery. A gateway says what it remembers of the room: generation, the store's time when it last heard,
-- active sessions, entries. If that was another generation, this one has lost its memory: nobody new is called or let in for
-- refresh_ms and a margin, the slots of sessions that are not back yet stay reserved until they must have ended, and the
-- entries of before the loss still count.
--
-- What is remembered counts only while it can matter, which is one session's length; after that all of it is over.
local RECOVERY_MARGIN_MS = 5000

local function recover(entries_key, room, now_ms, generation, heard_ms, active, entries)
  if generation == '' or generation == room.generation or now_ms > room.born_ms + room.session_ms then
    return
  end
  if room.recover_until_ms == 0 then
    room.recover_until_ms = now_ms + room.refresh_ms + RECOVERY_MARGIN_MS
  end
  room.lost_ms = math.max(room.lost_ms, math.min(heard_ms, room.born_ms))
  room.lost_active = math.max(room.lost_active, active)
  if entries > room.lost_entries then
    add_entries(entries_key, room, now_ms, entries - room.lost_entries)
    room.lost_entries = entries
  end
end

-- A token or a pass of another generation tells the same, when no gateway remembers; but only while it is news, since
-- a phone may wake up with an old token hours later.
local function recover_by_proof(entries_key, room, now_ms, generation)
  if room.recover_until_ms == 0 and now_ms <= room.born_ms + room.refresh_ms + RECOVERY_MARGIN_MS then
    recover(entries_key, room, now_ms, generation, room.born_ms, 0, 0)
  end
end

local function recovering_ms(room, now_ms)
  return math.max(0, room.recover_until_ms - now_ms)
end

-- Slots kept for sessions whose passes have not come back yet.
local function reserved(room)
  if room.session_now_ms >= room.born_ms + room.session_ms then
    return 0
  end
  return math.max(0, room.lost_active - room.restored)
end
