-- The rooms that were made at run time: make one, or remove one. A removed room leaves its name behind, so that every
-- process hears of it.
--
-- KEYS    rooms audit
-- ARGV    1 request id   2 line of the audit log   3 name   4 the room as JSON, '' to remove it
-- Returns 1 or 0 (done; 0: there is one of that name, or none to remove), version of the whole
-- include audit
local rooms_key, audit_key = KEYS[1], KEYS[2]
local request_id, name, definition = ARGV[1], ARGV[3], ARGV[4]
local before = answered(audit_key, request_id)
if before then
  return { 1, before.version }
end
local there = redis.call('HGET', rooms_key, name)
if ((there or '') == '') == (definition == '') then
  return { 0, tonumber(redis.call('HGET', rooms_key, '_version') or '0') }
end
redis.call('HSET', rooms_key, name, definition)
local version = redis.call('HINCRBY', rooms_key, '_version', 1)
audit(audit_key, request_id, version, 0, ARGV[2])
return { 1, version }
