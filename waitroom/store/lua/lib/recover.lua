-- include window
-- Recovery. A gateway says what it remembers of the room: generation, the store's time when it last heard, active
-- sessions, entries, moments. If that was another generation, this one has lost its memory: nobody new is called or let
-- in for refresh_ms and a margin, the slots of sessions that are not back yet stay reserved until they must have ended,
-- and the entries of before the loss still count.
--
-- What is remembered counts only while it can matter, which is one session's length; after that all of it is over.
local RECOVERY_MARGIN_MS = 5000

-- What the caller remembers: the five arguments from `first` on.
local function told_by(first)
  return { generation = ARGV[first], heard_ms = tonumber(ARGV[first + 1]), active = tonumber(ARGV[first + 2]),
    entries = tonumber(ARGV[first + 3]), moments = tonumber(ARGV[first + 4]) }
end

-- Whether this memory is an older copy of one that the caller heard. Either the caller was told of moments that it has
-- not seen; or it is not the caller's, but was there before the caller heard the other. (One that begins after a loss is
-- younger than all that was heard. What was heard later than now, before the clock was set back, proves nothing.)
local function is_older_copy(room, now_ms, told)
  if told.generation == room.generation then
    return told.moments > room.moments or (told.moments > room.gap_from and told.moments <= room.gap_to)
  end
  return told.heard_ms > room.born_ms and told.heard_ms <= now_ms
end

-- An older copy keeps its places and turns, but begins a new generation, so that the tokens and passes of the time that
-- it does not know are honoured. Which of its sessions ended meanwhile it cannot know: all come back by their passes, as
-- after a loss, and the callers tell what entered. Passes tell their end in wall time, so the session clock begins anew;
-- the claim clock goes on.
local function begin_again(keys, room, now_ms, new_generation)
  redis.call('UNLINK', keys.active, keys.entries)
  redis.call('HSET', keys.state, 'generation', new_generation, 'born_ms', whole(now_ms))
  room.generation, room.born_ms = new_generation, now_ms
  room.paused_ms, room.stopped_ms, room.session_now_ms = room.paused_ms + room.stopped_ms, 0, now_ms
  room.recover_until_ms, room.lost_ms, room.lost_active, room.lost_entries, room.restored = 0, 0, 0, 0, 0
  room.entries, room.granted, room.granted_until_ms = 0, 0, 0
end

-- `keys` has state, active and entries.
local function recover(keys, room, now_ms, new_generation, told)
  if told.generation == '' then
    return
  end
  if is_older_copy(room, now_ms, told) then
    begin_again(keys, room, now_ms, new_generation)
  elseif told.generation == room.generation or now_ms > room.born_ms + room.session_ms then
    return
  end
  if room.recover_until_ms == 0 then
    room.recover_until_ms = now_ms + room.refresh_ms + RECOVERY_MARGIN_MS
  end
  room.lost_ms = math.max(room.lost_ms, math.min(told.heard_ms, room.born_ms))
  room.lost_active = math.max(room.lost_active, told.active)
  if told.entries > room.lost_entries then
    add_entries(keys.entries, room, now_ms, told.entries - room.lost_entries)
    room.lost_entries = told.entries
  end
end

-- A token or a pass of another generation tells the same, when no gateway remembers; but only while it is news, since
-- a phone may wake up with an old token hours later.
local function recover_by_proof(keys, room, now_ms, generation)
  if room.recover_until_ms == 0 and now_ms <= room.born_ms + room.refresh_ms + RECOVERY_MARGIN_MS then
    local told = { generation = generation, heard_ms = room.born_ms, active = 0, entries = 0, moments = 0 }
    recover(keys, room, now_ms, '', told)
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
