-- halo.yield comes back after what is ready, like an immediate.
local halo = require("halo")
local timers = require("halo.timers")

timers.set_immediate(print, "immediate before")
halo.next_tick(print, "tick")
halo.queue_microtask(print, "microtask")
halo.spawn(function()
  for i = 1, 3 do
    print("task", i)
    halo.yield()
  end
end)
print("script yields")
halo.yield()
print("back")
timers.set_immediate(print, "immediate 2")
halo.yield()
print("back again")
