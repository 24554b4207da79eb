-- The rate in force: during a ramp it goes evenly from `from` to the room's rate, in whole visitors per minute.
local function ramped(rate, from, start_ms, end_ms, now_ms)
  if not rate or not from or now_ms >= end_ms then
    return rate
  end
  if now_ms <= start_ms then
    return from
  end
  return math.floor(from + (rate - from) * (now_ms - start_ms) / (end_ms - start_ms))
end
