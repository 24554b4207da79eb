-- A whole number as text: Lua would print a score of 16 digits as 1.7e+15.
local function whole(number)
  return string.format('%.0f', number)
end
