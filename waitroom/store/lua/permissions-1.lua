-- Tell which commands this user may not run, by running each on a key that is deleted again. What else goes wrong with
-- them is of no interest: whether a command may be run is looked at first.
--
-- KEYS    queue
-- ARGV    commands, a text each, `KEY` standing for the key
-- Returns the texts of those that are forbidden or unknown
local forbidden = {}
for i = 1, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[i], '%S+') do
    words[#words + 1] = word == 'KEY' and KEYS[1] or word
  end
  local answer = redis.pcall(unpack(words))
  local why = type(answer) == 'table' and answer.err or ''
  if string.find(why, 'permission', 1, true) or string.find(why, 'executing the script', 1, true)
    or string.find(why, 'Unknown', 1, true) then
    forbidden[#forbidden + 1] = ARGV[i]
  end
end
redis.pcall('DEL', KEYS[1])
return forbidden
