-- The beat: at most once in each 100 ms, whoever asks first does the work and all get the numbers. Moves missed
-- claims and ended sessions on, calls from the queue. At most MOVES of each kind a beat, so that no beat blocks the
-- store; what is left waits for the next.
--
-- KEYS    config state queue called missed active entries spent journal
-- ARGV    1 now_us or ''   2 generation for a memory that begins now
--         3-7 what the caller remembers: generation, heard_ms, active, entries, moments
-- Returns the census (lib/census.lua), or 'unconfigured'
-- include now
-- include load
-- include save
-- include accrue
-- include window
-- include census
-- include journal
local keys = { config = KEYS[1], state = KEYS[2], queue = KEYS[3], called = KEYS[4], missed = KEYS[5], active = KEYS[6],
  entries = KEYS[7], spent = KEYS[8], journal = KEYS[9] }
local BEAT_MS, MOVES = 100, 1000

local now_ms = math.floor(now_us(ARGV[1]) / 1000)
local room = load(keys.config, keys.state, now_ms, ARGV[2])
if not room then
  return { 'unconfigured' }
end
recover(keys, room, now_ms, ARGV[2], told_by(3))
forget_entries(keys.entries, room, now_ms)
local totals = { called = 0, missed = 0, ended = 0 }
local last_beat = room.beat
local beat = math.floor(now_ms / BEAT_MS)
if beat == last_beat then
  save(keys.state, room, totals)
  return census(keys, room, now_ms)
end
room.beat = beat

-- Removes up to MOVES members of `key` whose time is up by `clock_ms`, and returns them.
local function take_due(key, clock_ms)
  local due = redis.call('ZRANGEBYSCORE', key, '-inf', whole(clock_ms), 'LIMIT', 0, MOVES)
  if #due > 0 then
    redis.call('ZREM', key, unpack(due))
  end
  return due
end

-- Adds `visitors` to `key`, all until `clock_ms`.
local function put_all(key, clock_ms, visitors)
  local members, till = {}, whole(clock_ms)
  for i, visitor in ipairs(visitors) do
    members[2 * i - 1], members[2 * i] = till, visitor
  end
  if #members > 0 then
    redis.call('ZADD', key, unpack(members))
  end
end

-- Writes the same of each of `visitors` into the journal.
local function journal_all(kind, visitors)
  for _, visitor in ipairs(visitors) do
    journal(keys.journal, kind, visitor, 0)
  end
end

local over = take_due(keys.active, room.session_now_ms)
totals.ended = #over
journal_all('ended', over)
journal_all('forgotten', take_due(keys.missed, room.claim_now_ms))
take_due(keys.spent, now_ms)

local waiting = redis.call('ZCARD', keys.queue)
accrue(room, now_ms, waiting)
if room.mode ~= 'paused' then
  local absent = take_due(keys.called, room.claim_now_ms)
  totals.missed = #absent
  note_claims(room, 0, #absent)
  give_back(room, #absent, waiting)
  if room.hold_ms > 0 then
    put_all(keys.missed, room.claim_now_ms + room.hold_ms, absent)
  end
  journal_all('missed', absent)
  if room.granted_until_ms > 0 and room.claim_now_ms >= room.granted_until_ms then
    room.granted, room.granted_until_ms = 0, 0
  end
end

if room.mode == 'on' and waiting > 0 and recovering_ms(room, now_ms) == 0 then
  local count = math.min(waiting, MOVES)
  if room.rate then
    count = math.min(count, math.floor(room.credit), room.rate - room.entries)
  end
  if room.capacity then
    local active = redis.call('ZCOUNT', keys.active, '(' .. whole(room.session_now_ms), '+inf')
    local free = math.max(0, room.capacity - active - reserved(room))
    count = math.min(count, math.floor(free / (1 - missed_share(room))) - redis.call('ZCARD', keys.called))
  end
  if count > 0 then
    local popped = redis.call('ZPOPMIN', keys.queue, count)
    local visitors = {}
    for i = 1, #popped, 2 do
      visitors[#visitors + 1] = popped[i]
      journal(keys.journal, 'called', popped[i], tonumber(popped[i + 1]))
    end
    put_all(keys.called, room.claim_now_ms + room.claim_ms, visitors)
    room.frontier_us = math.max(room.frontier_us, tonumber(popped[#popped]))
    totals.called = #visitors
    if room.rate then
      room.credit = room.credit - totals.called
    end
    -- A slot that is filled now was free since the beat before at the longest.
    local heard_lately = last_beat > 0 and now_ms - room.was[4] <= 2000
    room.idle_ms = math.max(room.idle_ms, heard_lately and (beat - last_beat) * BEAT_MS or 0)
  end
end

room.granted = math.min(room.granted, redis.call('ZCARD', keys.called))
save(keys.state, room, totals)
return census(keys, room, now_ms)
