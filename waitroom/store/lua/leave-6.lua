-- Take a visitor out of the queue. A called one gives the slot and its pace back.
--
-- KEYS    config state queue called missed journal
-- ARGV    1 now_us or ''   2 visitor   3 generation for a memory that begins now
-- Returns 1 when they were there, 0 when not;  or 'unconfigured'
-- include now
-- include load
-- include save
-- include journal
local config_key, state_key, queue_key, called_key, missed_key, journal_key =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local visitor = ARGV[2]
local room = load(config_key, state_key, math.floor(now_us(ARGV[1]) / 1000), ARGV[3])
if not room then
  return { 'unconfigured' }
end
local called = redis.call('ZREM', called_key, visitor)
room.credit = room.credit + called
local left = called + redis.call('ZREM', queue_key, visitor) + redis.call('ZREM', missed_key, visitor)
if left > 0 then
  journal(journal_key, 'left', visitor, 0)
end
save(state_key, room, { left = left > 0 and 1 or 0 })
return { left > 0 and 1 or 0 }
