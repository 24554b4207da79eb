-- Where one visitor stands; changes nothing.
--
-- KEYS    config state queue called missed active
-- ARGV    1 now_us or ''   2 visitor
-- Returns waiting | called | missed | active | none, score_us, position, ms left of turn, kept place or session;
--         or 'unconfigured'
-- include now
-- include load
local config_key, state_key, queue_key, called_key, missed_key, active_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local visitor = ARGV[2]
if redis.call('HEXISTS', state_key, 'generation') == 0 then
  return { 'unconfigured' }
end
local room = load(config_key, state_key, math.floor(now_us(ARGV[1]) / 1000), '')
if not room then
  return { 'unconfigured' }
end
local function left_ms(key, clock_ms)
  return tonumber(redis.call('ZSCORE', key, visitor) or '0') - clock_ms
end
local score = redis.call('ZSCORE', queue_key, visitor)
if score then
  return { 'waiting', whole(tonumber(score)), redis.call('ZRANK', queue_key, visitor) + 1, '0' }
end
for word, place in pairs({ active = { active_key, room.session_now_ms }, called = { called_key, room.claim_now_ms },
  missed = { missed_key, room.claim_now_ms } }) do
  local left = left_ms(place[1], place[2])
  if left > 0 then
    return { word, '0', 0, whole(left) }
  end
end
return { 'none', '0', 0, '0' }
