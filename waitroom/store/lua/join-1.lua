-- Count one newcomer of a client network, unless as many as may came within the last minute. A rolling minute in slots of
-- 5 s: a slot counts until its youngest moment is a minute ago.
--
-- KEYS    joins
-- ARGV    1 now_us or ''   2 how many may come in a minute
-- Returns 0 when it was counted, else ms until the next may come
-- include now
-- include whole
local SLOT_MS, WINDOW_MS = 5000, 60000
local now_ms, most = math.floor(now_us(ARGV[1]) / 1000), tonumber(ARGV[2])
local slot_now = math.floor(now_ms / SLOT_MS)
local came, oldest = 0, slot_now
local counts = redis.call('HGETALL', KEYS[1])
for i = 1, #counts, 2 do
  local slot = tonumber(counts[i])
  -- A slot of the future is of before the store's clock was set back.
  if (slot + 1) * SLOT_MS <= now_ms - WINDOW_MS or slot > slot_now then
    redis.call('HDEL', KEYS[1], counts[i])
  else
    came = came + tonumber(counts[i + 1])
    oldest = math.min(oldest, slot)
  end
end
if came >= most then
  return math.max(1, (oldest + 1) * SLOT_MS + WINDOW_MS - now_ms)
end
redis.call('HINCRBY', KEYS[1], whole(slot_now), 1)
redis.call('PEXPIRE', KEYS[1], WINDOW_MS + SLOT_MS)
return 0
