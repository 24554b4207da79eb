-- An operator calls the next visitors at once, ahead of the pace and beyond the rate, never beyond the capacity. Their
-- entries count, so the queue stands until the last 60 s are within the rate again. At most MOVES at a time.
--
-- KEYS    config state queue called active journal audit
-- ARGV    1 now_us or ''   2 generation for a memory that begins now   3 how many   4 request id   5 line of the audit log
-- Returns 'called' and how many, or what keeps them out: 'paused', 'closed', 'off', 'recovering';  or 'unconfigured'
-- include now
-- include load
-- include save
-- include recover
-- include journal
-- include audit
local config_key, state_key, queue_key, called_key, active_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local journal_key, audit_key = KEYS[6], KEYS[7]
local request_id, MOVES = ARGV[4], 1000
local now_ms = math.floor(now_us(ARGV[1]) / 1000)
local room = load(config_key, state_key, now_ms, ARGV[2])
if not room then
  return { 'unconfigured' }
end
local before = answered(audit_key, request_id)
if before then
  return { 'called', before.people }
end
if room.mode ~= 'on' then
  return { room.mode }
end
if recovering_ms(room, now_ms) > 0 then
  return { 'recovering' }
end
local count = math.min(tonumber(ARGV[3]), MOVES)
if room.capacity then
  local active = redis.call('ZCOUNT', active_key, '(' .. whole(room.session_now_ms), '+inf')
  count = math.min(count, room.capacity - active - reserved(room) - redis.call('ZCARD', called_key))
end
local called, deadline_ms = 0, room.claim_now_ms + room.claim_ms
if count > 0 then
  local popped = redis.call('ZPOPMIN', queue_key, count)
  for i = 1, #popped, 2 do
    redis.call('ZADD', called_key, whole(deadline_ms), popped[i])
    journal(journal_key, 'called', popped[i], tonumber(popped[i + 1]))
    room.frontier_us = math.max(room.frontier_us, tonumber(popped[i + 1]))
    called = called + 1
  end
end
if called > 0 then
  room.granted, room.granted_until_ms = room.granted + called, math.max(room.granted_until_ms, deadline_ms)
end
save(state_key, room, { called = called })
if called > 0 then
  audit(audit_key, request_id, room.version, called, ARGV[5])
end
return { 'called', called }
