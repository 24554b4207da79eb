-- Admit, place or find one visitor. Both limits are enforced here and nowhere else. The visitor's id makes it
-- repeatable: whoever is known keeps their state.
--
-- KEYS    config state queue called missed active entries spent journal
-- ARGV    1 now_us or ''   2 visitor   3 purpose: claim | direct | join | look
--         4 score_us or ''   5 epoch and 6 generation of the queue token   7 '1' when it is provisional
--         8 generation for a memory that begins now
--         9-13 what the caller remembers: generation, heard_ms, active, entries, moments
-- Returns answer, now_ms, version, generation, epoch, score_us, position, session_end_ms, left_ms, active, entries, moments
--         or 'unconfigured'. left_ms: until the claim deadline of one called or admitted from there, until a missed one's place is forgotten
-- include now
-- include load
-- include save
-- include accrue
-- include window
-- include recover
-- include claims
-- include journal
local config_key, state_key, queue_key, called_key, missed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local active_key, entries_key, spent_key, journal_key = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local visitor, purpose = ARGV[2], ARGV[3]
local token_us, token_epoch, token_generation = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local token_provisional = ARGV[7] == '1'
local may_enter, may_join = purpose == 'claim' or purpose == 'direct', purpose == 'claim' or purpose == 'join'

local time_us = now_us(ARGV[1])
local now_ms = math.floor(time_us / 1000)
local room = load(config_key, state_key, now_ms, ARGV[8])
if not room then
  return { 'unconfigured' }
end
local totals = { joined = 0, admitted = 0, returned = 0 }
local memory = { state = state_key, active = active_key, entries = entries_key }
recover(memory, room, now_ms, ARGV[8], told_by(9))

local active_count

local function answer(word, score, position, session_end, left)
  save(state_key, room, totals)
  return { word, whole(now_ms), room.version, room.generation, room.epoch, whole(score or 0), position or 0,
    whole((session_end or 0) + (session_end and room.stopped_ms or 0)), whole(left or 0), active_count, room.entries,
    room.moments }
end

local function count_active()
  return redis.call('ZCOUNT', active_key, '(' .. whole(room.session_now_ms), '+inf')
end

local function admit(score, left)
  local session_end = room.session_now_ms + room.session_ms
  redis.call('ZADD', active_key, whole(session_end), visitor)
  add_entries(entries_key, room, now_ms, 1)
  active_count = active_count + 1
  totals.admitted = 1
  journal(journal_key, 'admitted', visitor, score)
  return answer('admitted', score, 0, session_end, left)
end

local function waiting(score)
  return answer('waiting', score, redis.call('ZRANK', queue_key, visitor) + 1)
end

local function place(score, kind, counter)
  redis.call('ZADD', queue_key, whole(score), visitor)
  totals[counter] = 1
  journal(journal_key, kind, visitor, score)
  return waiting(score)
end

forget_entries(entries_key, room, now_ms)
active_count = count_active()
if room.mode == 'off' then
  return answer('off')
end

-- Known: active. Whoever is inside stays inside, whatever the mode.
local session_end = tonumber(redis.call('ZSCORE', active_key, visitor) or '0')
if session_end > room.session_now_ms then
  return answer('admitted', 0, 0, session_end)
end
if room.mode == 'closed' then
  return answer('closed')
end

-- Known: called. The pace was paid when they were called; the limits are looked at now, the rate's with what an operator
-- granted beyond it. Who came in time and finds the room full for a moment stays called.
local claim_deadline = tonumber(redis.call('ZSCORE', called_key, visitor) or '0')
if claim_deadline > 0 then
  local free = room.mode == 'on' and recovering_ms(room, now_ms) == 0
    and (not room.capacity or active_count + reserved(room) < room.capacity)
    and (not room.rate or room.entries < room.rate or room.granted > 0)
  if may_enter then
    if free then
      redis.call('ZREM', called_key, visitor)
      note_claims(room, 1, 0)
      if room.rate and room.entries >= room.rate then
        room.granted = room.granted - 1
      end
      return admit(token_us or 0, math.max(0, claim_deadline - room.claim_now_ms))
    end
    claim_deadline = math.max(claim_deadline, room.claim_now_ms + room.claim_ms)
    redis.call('ZADD', called_key, whole(claim_deadline), visitor)
  end
  return answer('called', token_us, 0, nil, math.max(0, claim_deadline - room.claim_now_ms))
end

-- What was spent is told by when that proof ends: a place that was made later is another one.
local function honour_once()
  local proof_end_ms = math.floor(token_us / 1000) + 86400000
  if tonumber(redis.call('ZSCORE', spent_key, visitor) or '0') >= proof_end_ms then
    return false
  end
  redis.call('ZADD', spent_key, whole(proof_end_ms), visitor)
  return true
end

-- Known: waiting. A join that a gateway gave up, because no answer came, may be carried out all the same when the store
-- or the way to it is back. The place that the visitor was told meanwhile is the true one.
local waiting_score = redis.call('ZSCORE', queue_key, visitor)
if waiting_score then
  if token_us and token_provisional and token_epoch == room.epoch and token_us < tonumber(waiting_score)
    and honour_once() then
    return place(token_us, 'returned', 'returned')
  end
  return waiting(tonumber(waiting_score))
end

-- Known: missed their turn. Who comes back in time gets to the front by the old score; who only looks has not come back,
-- or a page that is left open would be called over and over.
local forget_ms = tonumber(redis.call('ZSCORE', missed_key, visitor) or '0')
if forget_ms > 0 then
  local kept = forget_ms > room.claim_now_ms and token_us and token_epoch == room.epoch
  if kept and purpose == 'look' then
    return answer('missed', token_us, 0, nil, forget_ms - room.claim_now_ms)
  end
  redis.call('ZREM', missed_key, visitor)
  if kept then
    return place(token_us, 'returned', 'returned')
  end
end

-- Unknown, with a token of this epoch: the token is the truth, the store remembers.
if token_us and token_epoch == room.epoch then
  if token_provisional or token_generation ~= room.generation then
    if not token_provisional then
      recover_by_proof(memory, room, now_ms, token_generation)
    end
    if honour_once() then
      return place(token_us, 'returned', 'returned')
    end
  elseif token_us > room.frontier_us and not redis.call('ZSCORE', spent_key, '!' .. visitor) then
    return place(token_us, 'returned', 'returned')
  end
end

-- A new arrival enters directly only when nobody waits and a slot is free beyond all that are promised to called
-- visitors.
local waiting_count = redis.call('ZCARD', queue_key)
accrue(room, now_ms, waiting_count)
if may_enter and room.mode == 'on' and waiting_count == 0 and recovering_ms(room, now_ms) == 0 then
  local promised = redis.call('ZCARD', called_key)
  if (not room.capacity or active_count + promised + reserved(room) < room.capacity)
    and (not room.rate or (room.entries + promised < room.rate and room.credit >= 1)) then
    if room.rate then
      room.credit = room.credit - 1
    end
    totals.direct = 1
    return admit(0)
  end
end
if not may_join then
  return answer('refused')
end
room.last_us = math.max(room.last_us + 1, time_us)
return place(room.last_us, 'joined', 'joined')
