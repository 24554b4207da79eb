-- An operator ends what a visitor has: their session (release), or session and place (revoke). Whatever proof of it they
-- still carry counts no more.
--
-- KEYS    config state queue called missed active spent journal audit
-- ARGV    1 now_us or ''   2 generation for a memory that begins now   3 visitor   4 release | revoke   5 request id
--         6 line of the audit log
-- Returns 1 when there was something to end, 0 when not;  or 'unconfigured'
-- include now
-- include load
-- include save
-- include journal
-- include audit
local config_key, state_key, queue_key, called_key, missed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local active_key, spent_key, journal_key, audit_key = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local visitor, purpose, request_id = ARGV[3], ARGV[4], ARGV[5]
local PROOF_MS = 86400000
local now_ms = math.floor(now_us(ARGV[1]) / 1000)
local room = load(config_key, state_key, now_ms, ARGV[2])
if not room then
  return { 'unconfigured' }
end
local before = answered(audit_key, request_id)
if before then
  return { before.people }
end
local was_active = tonumber(redis.call('ZSCORE', active_key, visitor) or '0') > room.session_now_ms
local ended = redis.call('ZREM', active_key, visitor)
local left = 0
if purpose == 'revoke' then
  local called = redis.call('ZREM', called_key, visitor)
  room.credit = room.credit + called
  left = called + redis.call('ZREM', queue_key, visitor) + redis.call('ZREM', missed_key, visitor)
end
if ended + left == 0 then
  save(state_key, room, {})
  return { 0 }
end
local till = whole(now_ms + PROOF_MS)
redis.call('ZADD', spent_key, till, visitor, till, '~' .. visitor)
if purpose == 'revoke' then
  redis.call('ZADD', spent_key, till, '!' .. visitor)
end
journal(journal_key, purpose == 'revoke' and 'revoked' or 'dismissed', visitor, 0)
save(state_key, room, { released = was_active and 1 or 0, left = left > 0 and 1 or 0 })
audit(audit_key, request_id, room.version, 1, ARGV[6])
return { 1 }
