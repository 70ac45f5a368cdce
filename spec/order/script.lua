-- The script ends, then ticks run, then microtasks.
local halo = require("halo")
local promise = require("halo.promise")

promise.resolve("then"):next(print)
halo.queue_microtask(print, "microtask")
halo.next_tick(print, "tick 1")
halo.queue_microtask(print, "microtask 2")
halo.next_tick(print, "tick 2")
print("script")
