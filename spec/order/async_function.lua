-- JS calls an async function's body at once; a Halo task begins as a microtask.
local halo = require("halo")
local promise = require("halo.promise")

local function f(name)
  print("begin", name)
  halo.await(promise.resolve())
  print("end", name)
end
promise.resolve():next(function()
  print("then")
end)
halo.spawn(f, "a")
halo.queue_microtask(print, "microtask")
halo.spawn(f, "b")
halo.next_tick(print, "tick")
print("script")
