-- Once a second each process tells what it measured; the first in each second writes a sample of the room into its
-- history, each tenth and each sixtieth also into the coarser ones.
--
-- KEYS    config state queue called missed active meters seconds tens minutes
-- ARGV    1 now_us or ''   then what was measured since the last time: name, how many more, name, how many more, …
-- Returns 1 when a sample was written, else 0;  or 'unconfigured'
-- include now
-- include load
local keys = { config = KEYS[1], state = KEYS[2], queue = KEYS[3], called = KEYS[4], missed = KEYS[5], active = KEYS[6],
  meters = KEYS[7] }
local KEPT = { { KEYS[8], 1, 900 }, { KEYS[9], 10, 1440 }, { KEYS[10], 60, 2880 } }
local TOTALS = { 'joined', 'direct', 'called', 'admitted', 'missed', 'returned', 'left', 'released', 'ended' }
local METERS = { 'requests', 'errors', 'waits', 'waited_s', 'shown_low_s', 'shown_high_s', 'held', 'shorter', 'longer',
  'l0', 'l1', 'l2', 'l3', 'l4', 'l5', 'l6', 'l7', 'l8', 'l9', 'l10', 'l11', 'l12', 'l13' }

if redis.call('HEXISTS', keys.state, 'generation') == 0 then
  return { 'unconfigured' }
end
local now_ms = math.floor(now_us(ARGV[1]) / 1000)
local room = load(keys.config, keys.state, now_ms, '')
if not room then
  return { 'unconfigured' }
end
for i = 2, #ARGV, 2 do
  redis.call('HINCRBY', keys.meters, ARGV[i], ARGV[i + 1])
end
local second = math.floor(now_ms / 1000)
local last = tonumber(redis.call('HGET', keys.meters, 'second') or '0')
if second <= last then
  return { 0 }
end
redis.call('HSET', keys.meters, 'second', second)

local sample = {
  'rate', room.rate and whole(room.rate) or '-1', 'capacity', room.capacity and whole(room.capacity) or '-1',
  'waiting', redis.call('ZCARD', keys.queue), 'called_now', redis.call('ZCARD', keys.called),
  'missed_now', redis.call('ZCARD', keys.missed),
  'active', redis.call('ZCOUNT', keys.active, '(' .. whole(room.session_now_ms), '+inf'),
}
local function add(key, names, suffix)
  local fields = {}
  for i, name in ipairs(names) do
    fields[i] = name .. suffix
  end
  local values = redis.call('HMGET', key, unpack(fields))
  for i, name in ipairs(names) do
    sample[#sample + 1] = name
    sample[#sample + 1] = values[i] or '0'
  end
end
add(keys.state, TOTALS, '_total')
add(keys.meters, METERS, '')
for _, kept in ipairs(KEPT) do
  local key, step, most = kept[1], kept[2], kept[3]
  if math.floor(second / step) > math.floor(last / step) then
    redis.call('XADD', key, 'MAXLEN', '~', most, whole(second * 1000) .. '-0', unpack(sample))
  end
end
return { 1 }
