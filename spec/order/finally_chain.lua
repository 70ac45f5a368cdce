-- finally between other links, with the queues looked at in each.
local halo = require("halo")
local promise = require("halo.promise")

promise.resolve(1):next(function(v)
  halo.next_tick(print, "tick of next")
  return v + 1
end):finally(function()
  print("finally 1")
  halo.queue_microtask(print, "microtask of finally 1")
end):finally(function()
  print("finally 2")
  halo.next_tick(print, "tick of finally 2")
end):next(function(v)
  print("value", v)
end)
