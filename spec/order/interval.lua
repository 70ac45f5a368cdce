-- An interval until it is cleared, from inside and from a microtask.
local halo = require("halo")
local timers = require("halo.timers")

local n, m = 0, 0
local a, b
a = timers.set_interval(function(arg)
  n = n + 1
  print("interval", n, arg)
  halo.queue_microtask(print, "microtask", n)
  if n == 3 then
    a:clear()
    print("cleared")
    b = timers.set_interval(function()
      m = m + 1
      print("interval b", m)
      halo.queue_microtask(function()
        if m == 2 then
          print("cleared by microtask")
          b:clear()
        end
      end)
    end, 0.003)
  end
end, 0.004, "x")
