-- Immediates in order, ticks and microtasks after each.
local halo = require("halo")
local timers = require("halo.timers")

for i = 1, 3 do
  timers.set_immediate(function(arg)
    print("immediate", i, arg)
    halo.next_tick(print, "tick", i)
    halo.queue_microtask(print, "microtask", i)
  end, "x" .. i)
end
halo.queue_microtask(print, "microtask")
halo.next_tick(print, "tick")
print("script")
