-- Ticks and microtasks run after each timer, not after all of them.
local halo = require("halo")
local timers = require("halo.timers")

for i = 1, 3 do
  timers.set_timeout(function()
    print("timer", i)
    halo.queue_microtask(function()
      print("microtask", i)
      halo.next_tick(print, "tick of microtask", i)
    end)
    halo.next_tick(print, "tick", i)
  end, 0.005)
end
