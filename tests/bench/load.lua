-- What wrk sends: GET of one path, with header lines from files, and what it found, as one line of JSON.
--
-- wrk -s load.lua URL -- PATH FIXED EACH DELAY_MS
--   FIXED     file of `Name: value` lines sent with every request
--   EACH      file of Cookie values taken in turn ('-': none), so that many visitors ask
--   DELAY_MS  mean pause of a connection before each request, drawn evenly from 0 to twice that (0: none)
local requests, at = {}, 0

local function lines(path)
  local found = {}
  if path ~= '-' then
    for line in io.lines(path) do
      found[#found + 1] = line
    end
  end
  return found
end

function init(args)
  local path, fixed, each, delay_ms = args[1], lines(args[2]), lines(args[3]), tonumber(args[4])
  local headers = {}
  for name, value in pairs(wrk.headers) do
    headers[name] = value
  end
  for _, line in ipairs(fixed) do
    local name, value = line:match('^([^:]+): (.*)$')
    headers[name] = value
  end
  if #each == 0 then
    requests[1] = wrk.format('GET', path, headers)
  end
  for _, cookie in ipairs(each) do
    headers['Cookie'] = cookie
    requests[#requests + 1] = wrk.format('GET', path, headers)
  end
  if #requests > 1 then
    request = function()
      at = at % #requests + 1
      return requests[at]
    end
  else
    request = function()
      return requests[1]
    end
  end
  if delay_ms > 0 then
    math.randomseed(7)
    delay = function()
      return math.floor(math.random() * 2 * delay_ms + 0.5)
    end
  end
end

function done(summary, latency, _)
  io.write(string.format(
    'FOUND {"requests": %d, "seconds": %.6f, "bytes": %d, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, summary.errors.connect + summary.errors.read + summary.errors.write
      + summary.errors.status + summary.errors.timeout))
end
