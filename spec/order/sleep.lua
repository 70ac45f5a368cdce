-- Sleeps of the same time end in the order they began, with a drain between.
local halo = require("halo")

for i = 1, 3 do
  halo.spawn(function()
    print("begin", i)
    halo.sleep(0.005)
    print("slept", i)
    halo.next_tick(print, "tick", i)
    halo.queue_microtask(print, "microtask", i)
  end)
end
print("script sleeps")
halo.sleep(0.04)
print("script ends")
