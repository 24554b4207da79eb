-- include whole
-- One line of what happened, for customer service and reports. The beat trims it: to trim at each line would cost more
-- than the line.
local JOURNAL_LINES, JOURNAL_MS = 100000, 172800000

local function journal(journal_key, kind, visitor, score)
  redis.call('XADD', journal_key, '*', 'kind', kind, 'visitor', visitor, 'score', whole(score))
end

-- The stream's ids are the server's time, so that is what ages it.
local function trim_journal(journal_key, server_ms)
  redis.call('XTRIM', journal_key, 'MAXLEN', '~', JOURNAL_LINES, 'LIMIT', 0)
  redis.call('XTRIM', journal_key, 'MINID', '~', whole(server_ms - JOURNAL_MS))
end
