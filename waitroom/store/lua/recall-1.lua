-- Give a store that lost its memory the rooms back that were made at run time, unless somebody did already.
--
-- KEYS    rooms
-- ARGV    1 version that the caller remembers   then name, room as JSON, name, room as JSON, …
-- Returns version that stands
local version = tonumber(redis.call('HGET', KEYS[1], '_version') or '0')
if version >= tonumber(ARGV[1]) then
  return { version }
end
redis.call('HSET', KEYS[1], '_version', ARGV[1], unpack(ARGV, 2))
return { tonumber(ARGV[1]) }
