-- Count an attempt in a window that begins with the first.
--
-- KEYS    attempts
-- ARGV    1 window_ms
-- Returns { how many, ms left of the window }
local count = redis.call('INCR', KEYS[1])
if count == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return { count, redis.call('PTTL', KEYS[1]) }
