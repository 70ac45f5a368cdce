-- A timer set by a timer comes after those already due.
local timers = require("halo.timers")

timers.set_timeout(function()
  print("a")
  timers.set_timeout(print, 0.01, "a's")
end, 0.01)
timers.set_timeout(function()
  print("b")
  timers.set_timeout(print, 0.01, "b's")
end, 0.01)
local n = 0
local function again()
  n = n + 1
  print("chain", n)
  if n < 4 then
    timers.set_timeout(again, 0.04)
  end
end
timers.set_timeout(again, 0.06)
