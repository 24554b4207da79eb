-- Count, change nothing that is seen. (The clocks and the window are only read; nothing is written back.)
--
-- KEYS    config state queue called missed active
-- ARGV    1 now_us or ''
-- Returns the census (lib/census.lua), or 'unconfigured' when the room or its memory is not there
-- include now
-- include load
-- include census
local keys = { config = KEYS[1], state = KEYS[2], queue = KEYS[3], called = KEYS[4], missed = KEYS[5], active = KEYS[6] }
if redis.call('HEXISTS', keys.state, 'generation') == 0 then
  return { 'unconfigured' }
end
local now_ms = math.floor(now_us(ARGV[1]) / 1000)
local room = load(keys.config, keys.state, now_ms, '')
if not room then
  return { 'unconfigured' }
end
return census(keys, room, now_ms)
