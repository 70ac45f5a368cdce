-- One million timers of 1 to 1000 ms, set in one go; the harness measures the whole process.
local set_timeout = require "halo.timers".set_timeout

local count = 1000000
local fired = 0

local function on_timeout()
  fired = fired + 1
  if fired == count then print("fired", fired) end
end

for i = 0, count - 1 do
  set_timeout(on_timeout, (1 + i * 7919 % 1000) / 1000)
end
