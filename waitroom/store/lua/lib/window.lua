-- include whole
-- Admissions of the last 60 s in slots of 50 ms, oldest first, with their sum in room.entries. A slot is forgotten
-- when its youngest moment is WINDOW_MS ago: 60 s, and 200 ms because a visitor reaches the site a moment after being
-- counted here.
local SLOT_MS, WINDOW_MS = 50, 60200

local function forget_entries(entries_key, room, now_ms)
  while true do
    local oldest = redis.call('LINDEX', entries_key, 0)
    if not oldest then
      room.entries = 0
      return
    end
    local slot, count = string.match(oldest, '^(%d+):(%d+)$')
    -- The store's clock was set back: all that is counted counts from now.
    if tonumber(slot) * SLOT_MS > now_ms + 2000 then
      redis.call('DEL', entries_key)
      redis.call('RPUSH', entries_key, whole(math.floor(now_ms / SLOT_MS)) .. ':' .. whole(room.entries))
      return
    end
    if (tonumber(slot) + 1) * SLOT_MS + WINDOW_MS > now_ms then
      return
    end
    redis.call('LPOP', entries_key)
    room.entries = room.entries - tonumber(count)
  end
end

local function add_entries(entries_key, room, now_ms, added)
  local slot = math.floor(now_ms / SLOT_MS)
  local newest = redis.call('LINDEX', entries_key, -1)
  local newest_slot, count = string.match(newest or '', '^(%d+):(%d+)$')
  -- A clock that went back a little must not leave the list out of order: the newest slot then takes the entry.
  if newest_slot and tonumber(newest_slot) >= slot then
    redis.call('LSET', entries_key, -1, newest_slot .. ':' .. whole(tonumber(count) + added))
  else
    redis.call('RPUSH', entries_key, whole(slot) .. ':' .. whole(added))
  end
  room.entries = room.entries + added
end
