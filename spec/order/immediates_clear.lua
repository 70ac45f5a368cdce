-- An immediate that an earlier one of the same turn has cleared does not run.
local halo = require("halo")
local timers = require("halo.timers")

local b, c
timers.set_immediate(function()
  print("a clears b")
  b:clear()
  halo.queue_microtask(function()
    print("microtask clears c")
    timers.clear(c)
  end)
end)
b = timers.set_immediate(print, "b must not run")
c = timers.set_immediate(print, "c must not run")
timers.set_immediate(print, "d")
timers.set_immediate(print, "e must not run"):clear()
