-- An operator empties the queue: everybody who waits, was called or missed their turn loses the place. The epoch is raised,
-- so their tokens are new arrivals. Who is inside stays inside.
--
-- KEYS    config state queue called missed journal audit
-- ARGV    1 now_us or ''   2 generation for a memory that begins now   3 expected version ('' for any)   4 request id
--         5 line of the audit log
-- Returns 1 or 0 (done; 0: another version stands), version that stands, how many lost their place;  or 'unconfigured'
-- include now
-- include load
-- include save
-- include journal
-- include audit
local config_key, state_key, queue_key, called_key, missed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local journal_key, audit_key = KEYS[6], KEYS[7]
local expected, request_id = ARGV[3], ARGV[4]
local room = load(config_key, state_key, math.floor(now_us(ARGV[1]) / 1000), ARGV[2])
if not room then
  return { 'unconfigured' }
end
local before = answered(audit_key, request_id)
if before then
  return { 1, room.version, before.people }
end
if expected ~= '' and tonumber(expected) ~= room.version then
  return { 0, room.version, 0 }
end
local called = redis.call('ZCARD', called_key)
local people = called + redis.call('ZCARD', queue_key) + redis.call('ZCARD', missed_key)
redis.call('UNLINK', queue_key, called_key, missed_key)
room.credit, room.granted, room.granted_until_ms = room.credit + called, 0, 0
room.version, room.epoch = room.version + 1, room.epoch + 1
redis.call('HSET', config_key, 'version', whole(room.version), 'epoch', whole(room.epoch))
journal(journal_key, 'reset', '', people)
save(state_key, room, {})
audit(audit_key, request_id, room.version, people, ARGV[5])
return { 1, room.version, people }
