-- A refreshed timer's time begins anew, also after it has fired.
local timers = require("halo.timers")

local fired = 0
local a = timers.set_timeout(function()
  print("refreshed timer")
end, 0.04)
timers.set_timeout(function()
  print("refresh")
  a:refresh()
end, 0.03)
timers.set_timeout(print, 0.05, "between")
local b
b = timers.set_timeout(function()
  fired = fired + 1
  print("fired", fired)
  if fired < 3 then
    b:refresh()
  end
end, 0.1)
