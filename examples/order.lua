-- halo examples/order.lua
-- In which order things run: as in Node.
local halo = require "halo"
local promise, timers = halo.promise, halo.timers

timers.set_timeout(function()
  print "7 a timer"
  halo.next_tick(print, "8 its tick, before the next timer")
end, 0)
timers.set_timeout(print, 0, "9 the next timer")
halo.spawn(function()
  print "4 a task's body is a microtask"
  halo.sleep(0.01)
  print "10 and this task has slept"
end)
promise.resolve("5 a promise's reaction, too"):next(print)
halo.next_tick(function()
  print "2 a tick comes before microtasks"
  halo.queue_microtask(print, "6 a microtask's microtask comes before timers")
  halo.next_tick(print, "3 so does a tick's tick")
end)
print "1 the main chunk runs to its end"
halo.run() -- for stock Lua, which would end here
