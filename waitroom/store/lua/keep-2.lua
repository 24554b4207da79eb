-- Write, change or remove one record of the house if it still is what it was, with its line in the audit log.
--
-- KEYS    accounts audit
-- ARGV    1 field  2 what it was ('' = not there)  3 what it becomes ('' = removed)  4 request id  5 audit line or ''
-- Returns { 1 } when done, { 0 } when the record is another by now
-- include audit
local was = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if was ~= ARGV[2] then
  return { 0 }
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
if ARGV[5] ~= '' then
  audit(KEYS[2], ARGV[4], 0, 0, ARGV[5])
end
return { 1 }
