-- A timer set in an immediate comes after the immediates of the next turn.
local halo = require("halo")
local timers = require("halo.timers")

timers.set_immediate(function()
  print("immediate")
  timers.set_timeout(print, 0.03, "timer")
  timers.set_immediate(function()
    print("immediate of immediate")
    halo.next_tick(timers.set_immediate, print, "immediate of tick")
  end)
end)
