-- include whole
-- The audit log. A change and its line are written by the same script, so that neither is without the other. The log is
-- also what makes a repeated request harmless: its line is there.
local AUDIT_LINES, AUDIT_MS, AUDIT_LOOKED_AT = 10000, 34560000000, 100

-- What the request was answered when it was made, as { version, people }; nil when it was not made lately.
local function answered(audit_key, request_id)
  for _, entry in ipairs(redis.call('XREVRANGE', audit_key, '+', '-', 'COUNT', AUDIT_LOOKED_AT)) do
    local facts = {}
    for i = 1, #entry[2], 2 do
      facts[entry[2][i]] = entry[2][i + 1]
    end
    if facts.request == request_id then
      return { version = tonumber(facts.version), people = tonumber(facts.people) }
    end
  end
  return nil
end

local function audit(audit_key, request_id, version, people, line)
  redis.call('XADD', audit_key, 'MAXLEN', '~', AUDIT_LINES, '*', 'request', request_id, 'version', whole(version),
    'people', whole(people), 'line', line)
  local time = redis.call('TIME')
  redis.call('XTRIM', audit_key, 'MINID', '~', whole(tonumber(time[1]) * 1000 - AUDIT_MS))
end
