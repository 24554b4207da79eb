-- The snapshot: a room in numbers, with the scores at certain ranks of its queue. Whoever asks first in each second, or
-- after a change of version or mode, makes it; the others get the same one.
--
-- Beside it are kept the *pulse*, the totals at each PULSE_MS of the last five minutes in one mode and capacity, from
-- which speeds are measured; and the journal's length.
--
-- KEYS    config state queue called missed active snapshot journal pulse
-- ARGV    1 now_us or ''   2 how many at the front to take each   3 … ranks beyond them, rising, from 0; those beyond the
--         queue are passed by, its end is added
-- Returns the snapshot: JSON with `census` (in the order of lib/census.lua), `frontier_us`, `points` ([score, position],
--         rising) and `pulses` ([ms, called, left, returned, freed, admitted], oldest
--         first);  or 'unconfigured'
-- include now
-- include load
-- include census
-- include journal
local keys = { config = KEYS[1], state = KEYS[2], queue = KEYS[3], called = KEYS[4], missed = KEYS[5], active = KEYS[6],
  snapshot = KEYS[7], journal = KEYS[8], pulse = KEYS[9] }
local SNAPSHOT_MS, PULSE_MS, PULSES = 1000, 5000, 61

if redis.call('HEXISTS', keys.state, 'generation') == 0 then
  return { 'unconfigured' }
end
local now_ms = math.floor(now_us(ARGV[1]) / 1000)
local room = load(keys.config, keys.state, now_ms, '')
if not room then
  return { 'unconfigured' }
end

local made = redis.call('HMGET', keys.state, 'snapshot_ms', 'snapshot_of', 'pulse_ms', 'pulse_of')
local made_ms, made_of = tonumber(made[1] or '0'), room.version .. ' ' .. room.mode
if made[2] == made_of and now_ms >= made_ms and now_ms - made_ms < SNAPSHOT_MS then
  local kept = redis.call('GET', keys.snapshot)
  if kept then
    return { kept }
  end
end

local counts = census(keys, room, now_ms)
local waiting = counts[6]

-- Totals in another mode or under another capacity say nothing of how fast slots become free under these.
local pulse_ms, pulse_of = tonumber(made[3] or '0'), room.mode .. ' ' .. (room.capacity or '')
local pulse = string.format('[%s,%d,%d,%d,%d,%d]', whole(now_ms), counts[15], counts[19], counts[18], counts[20] + counts[21],
  counts[16])
if made[4] ~= pulse_of or now_ms < pulse_ms then
  redis.call('DEL', keys.pulse)
  pulse_ms = 0
end
if now_ms - pulse_ms >= PULSE_MS then
  redis.call('RPUSH', keys.pulse, pulse)
  redis.call('LTRIM', keys.pulse, -PULSES, -1)
  redis.call('HSET', keys.state, 'pulse_ms', whole(now_ms), 'pulse_of', pulse_of)
end

local points = {}
local function take(first, last)
  local found = redis.call('ZRANGE', keys.queue, first, last, 'WITHSCORES')
  for i = 2, #found, 2 do
    points[#points + 1] = '[' .. whole(tonumber(found[i])) .. ',' .. (first + i / 2) .. ']'
  end
end
local front, last = tonumber(ARGV[2]), waiting - 1
take(0, front - 1)
for i = 3, #ARGV do
  local rank = tonumber(ARGV[i])
  if rank >= last then
    break
  end
  take(rank, rank)
end
if last >= front then
  take(last, last)
end

for i, value in ipairs(counts) do
  counts[i] = type(value) == 'string' and '"' .. value .. '"' or whole(value)
end
local snapshot = string.format('{"census":[%s],"frontier_us":%s,"points":[%s],"pulses":[%s]}', table.concat(counts, ','),
  whole(room.frontier_us), table.concat(points, ','), table.concat(redis.call('LRANGE', keys.pulse, 0, -1), ','))
redis.call('SET', keys.snapshot, snapshot)
redis.call('HSET', keys.state, 'snapshot_ms', whole(now_ms), 'snapshot_of', made_of)
trim_journal(keys.journal, math.floor(now_us('') / 1000))
return { snapshot }
