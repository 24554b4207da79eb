-- include whole
-- One line of what happened, for customer service and reports.
local function journal(journal_key, kind, visitor, score)
  redis.call('XADD', journal_key, 'MAXLEN', '~', 20000, '*', 'kind', kind, 'visitor', visitor, 'score', whole(score))
end
